//! Somebody watches the costs: plans, budgets, the confirmation, the ledger, and images that are called again on purpose.

mod budgets;
mod confirmation;
mod kept_requests;
mod ledger;
mod plans;
mod put_back;
