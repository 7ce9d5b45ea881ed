//! Turns: their order, their replies, and what they leave behind if they fail.

use super::*;
use crate::store::model::RunState;
use crate::time::UnixSeconds;

#[test]
fn a_claim_takes_what_a_page_of_the_same_turn_queued() {
    for site in sites() {
        let mut session = site.begin();
        let new = vec![Difference::New(candidate("a", "x"))];
        let replies = send(&mut session, vec![page(0, "a", false, new), claim(9)]).unwrap();
        assert_eq!(replies[0], Reply::Queued(true));
        let claimed = claimed(replies);
        assert_eq!(claimed.len(), 1);
        assert_eq!((claimed[0].key.key.as_str(), claimed[0].scenes), ("a", Scene::Camera.into()));
    }
}

#[test]
fn every_request_has_its_reply_at_the_same_place() {
    for site in sites() {
        let mut session = site.begin();
        send(&mut session, listing(&[("a", "x"), ("b", "x"), ("c", "y")])).unwrap();
        let requests = vec![
            Request::Limit { rate: 12.5 },
            Request::HasPending,
            Request::Probe { first_pass: 0 },
            Request::AnotherKey { content_id: 1, tried: vec![1] },
            Request::AnotherKey { content_id: 1, tried: vec![1, 2] },
            claim(9),
            Request::HasPending,
            page(1, "z", true, Vec::new()),
        ];
        let replies = send(&mut session, requests).unwrap();
        let [done, waits, probe, second, none, claims, empty, queued] =
            <[_; 8]>::try_from(replies).unwrap();
        assert_eq!((done, waits), (Reply::Done, Reply::HasPending(true)));
        assert!(matches!(probe, Reply::Probe(Some(_))));
        assert!(matches!(second, Reply::Key(Some(key)) if key.key == "b"));
        assert_eq!(none, Reply::Key(None));
        assert!(matches!(claims, Reply::Claims(claims) if claims.claimed.len() == 1));
        assert_eq!((empty, queued), (Reply::HasPending(false), Reply::Queued(false)));
    }
}

#[test]
fn contents_with_equal_bytes_are_claimed_once() {
    for site in sites() {
        let mut session = site.begin();
        send(&mut session, listing(&[("a", "x"), ("b", "x")])).unwrap();
        assert_eq!(claimed(send(&mut session, vec![claim(9)]).unwrap()).len(), 1);
        assert_eq!(claimed(send(&mut session, vec![claim(9)]).unwrap()), []);
    }
}

#[test]
fn a_released_content_is_claimed_again_and_one_put_back_waits_for_its_pass() {
    for site in sites() {
        let mut session = site.begin();
        let mut requests = listing(&[("a", "x"), ("b", "y")]);
        requests.push(claim(9));
        let [first, second] =
            <[_; 2]>::try_from(claimed(send(&mut session, requests).unwrap())).unwrap();
        let Settled::GivenUp { attempts, error } = given_up(true) else { unreachable!() };
        let put_back = Settled::PutBack { attempts, pass: 1, error };
        let requests = vec![settle(&first, Settled::Released), settle(&second, put_back), claim(9)];
        let again = claimed(send(&mut session, requests).unwrap());
        assert_eq!(again, [first], "only the released one, as it was");
        let later = vec![
            claim(9),
            Request::Claim(ClaimRequest { limit: 9, passes: 1..=1, keeps_back: false }),
        ];
        let replies = send(&mut session, later).unwrap();
        assert!(
            matches!(&replies[0], Reply::Claims(claims) if claims.later && claims.claimed.is_empty())
        );
        let later = claimed(replies);
        assert_eq!((later[0].content_id, later[0].attempts), (second.content_id, attempts));
    }
}

#[test]
fn a_turn_with_an_impossible_settlement_leaves_nothing_behind() {
    for site in sites() {
        let mut session = site.begin();
        let mut requests = listing(&[("a", "x")]);
        requests.push(claim(9));
        let claimed = claimed(send(&mut session, requests).unwrap());
        let counts = session.counts().clone();
        let Request::Settle(mut senseless) = settle(&claimed[0], labels(&["cat"])) else {
            unreachable!()
        };
        senseless.call = None;
        let new = vec![Difference::New(candidate("b", "y"))];
        let failing = vec![page(1, "b", false, new), Request::Settle(senseless)];
        assert!(matches!(send(&mut session, failing), Err(Error::Unsound { .. })));
        assert_eq!(*session.counts(), counts);
        let known = |session: &Session| {
            let mut keys = Vec::new();
            let reader = session.reader().unwrap();
            let bucket_id = session.run().bucket_id;
            reader
                .span(bucket_id, "", "", None, false, |known| keys.push(known.key.to_owned()))
                .unwrap();
            keys
        };
        assert_eq!(known(&session), ["a"], "the page of the turn is not kept");
        // The session goes on.
        send(&mut session, vec![settle(&claimed[0], labels(&["cat"]))]).unwrap();
        assert_eq!((session.counts().done, session.counts().labels), (1, 1));
        let store = session.finish(RunState::Complete, None, UnixSeconds(130)).unwrap();
        let checks = store.reader().unwrap().verify(|_| ()).unwrap();
        assert!(checks.iter().all(|checked| checked.problems.count == 0), "{checks:?}");
    }
}
