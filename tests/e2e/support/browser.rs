//! A real browser: Chromium, driven through chromedriver.

use std::ffi::OsStr;
use std::fs;
use std::future::Future;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::common::command::{Command as Request, ExtensionCommand};
use thirtyfour::error::WebDriverResult;
use thirtyfour::{
    By, ChromeCapabilities, ChromiumLikeCapabilities as _, LoggingPrefsLogLevel, WebDriver,
};
use tokio::runtime::Runtime;

use super::{LONGEST, Running, start, wait_until};

/// The names of the browser, the first that is installed is used.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A name of the Internet that the browser takes for this machine, as after DNS rebinding.
pub(crate) const REBOUND: &str = "rebound.example";

/// A running browser with one window. It ends when this value is dropped, and so do all of its processes.
pub(crate) struct Browser {
    runtime: Runtime,
    window: Option<WebDriver>,
    /// Chromedriver. It is killed after the browser has ended.
    driver: Option<Running>,
    /// The home of the browser. Its path is in the command line of each of its processes.
    home: TempDir,
}

/// A command of the developer tools.
#[derive(Debug)]
struct Tools(Value);

impl ExtensionCommand for Tools {
    fn parameters_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }

    fn method(&self) -> Method {
        Method::POST
    }

    fn endpoint(&self) -> Arc<str> {
        "/goog/cdp/execute".into()
    }
}

impl Browser {
    /// Starts a browser. Returns `None` if there is none on this machine, and fails instead if every tool is required.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = installed() else {
            let required = std::env::var_os("COSTAG_REQUIRE_ALL").is_some_and(|value| value == "1");
            assert!(!required, "Chromium with chromedriver is missing");
            eprintln!("left out: there is no Chromium with chromedriver here");
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env_clear().current_dir(home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", home.path()).env("TMPDIR", home.path());
        let driver = start(command);
        let port = || {
            let told = driver.stdout();
            let (_, rest) = told.split_once("started successfully on port ")?;
            Some(rest.split_once('.')?.0.to_owned())
        };
        wait_until("chromedriver says its port", || port().is_some());
        let server = format!("http://127.0.0.1:{}", port().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut browser = Self { runtime, window: None, driver: Some(driver), home };
        let wanted = browser.capabilities(&program);
        costag::cos::install_crypto_provider();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let begun = WebDriver::builder(server, wanted).client(client).connect();
        browser.window = Some(browser.wait(begun));
        Some(browser)
    }

    fn capabilities(&self, program: &str) -> ChromeCapabilities {
        let mut wanted = ChromeCapabilities::new();
        wanted.set_binary(program).unwrap();
        for option in [
            "--headless=new",
            // CI runs as root, where the sandbox does not work.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-extensions",
            "--disable-sync",
            "--no-first-run",
            "--no-proxy-server",
            "--window-size=1280,900",
            // No other name is looked up.
            &format!(
                "--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
            ),
            &format!("--user-data-dir={}", self.home.path().join("profile").display()),
        ] {
            wanted.add_arg(option).unwrap();
        }
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        wanted
    }

    #[track_caller]
    fn wait<T>(&self, command: impl Future<Output = WebDriverResult<T>>) -> T {
        let limited = async { tokio::time::timeout(2 * LONGEST, command).await };
        let answer = self.runtime.block_on(limited).expect("the browser answers");
        answer.unwrap_or_else(|error| panic!("the browser refuses: {error}"))
    }

    fn window(&self) -> &WebDriver {
        self.window.as_ref().unwrap()
    }

    /// Opens an address, and waits until its page is loaded.
    #[track_caller]
    pub(crate) fn open(&self, address: &str) {
        self.wait(self.window().goto(address));
    }

    /// The value of an expression of JavaScript.
    #[track_caller]
    pub(crate) fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.wait(async { Ok(self.window().execute(script, Vec::new()).await?.json().clone()) })
    }

    /// The text of an expression of JavaScript.
    #[track_caller]
    pub(crate) fn text(&self, expression: &str) -> String {
        match self.value(expression) {
            Value::String(text) => text,
            other => panic!("{expression} is {other}"),
        }
    }

    /// Waits until an expression of JavaScript is true, also across changes of the page.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) {
        let script = format!("return Boolean({expression});");
        let begun = Instant::now();
        loop {
            let window = self.window();
            // While the page changes, there is nothing that could run a script.
            let asked = async { window.execute(script.clone(), Vec::new()).await };
            if self.runtime.block_on(asked).is_ok_and(|value| *value.json() == json!(true)) {
                return;
            }
            if begun.elapsed() > LONGEST {
                let page = self.text("document.body.innerText");
                panic!("never came: {expression}\n{page}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Clicks on the first element of a selector.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        self.wait(async { self.window().find(By::Css(selector)).await?.click().await });
    }

    /// Presses keys, wherever the focus is.
    #[track_caller]
    pub(crate) fn press(&self, keys: &str) {
        self.wait(self.window().action_chain().send_keys(keys).perform());
    }

    /// Makes the window so many pixels wide. Windows cannot be as narrow as telephones, so its screen is emulated.
    #[track_caller]
    pub(crate) fn width(&self, pixels: u32) {
        let screen =
            json!({ "width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": screen });
        let command = Request::ExtensionCommand(Box::new(Tools(command)));
        self.wait(self.window().cmd(command));
    }

    /// What the console has shown since the last time, other than remarks.
    #[track_caller]
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.wait(self.window().browser_log()).into_iter();
        let serious = entries.filter(|entry| matches!(&*entry.level, "SEVERE" | "WARNING"));
        serious.map(|entry| entry.message).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(window) = self.window.take() {
            let quit = async { tokio::time::timeout(LONGEST / 3, window.clone().quit()).await };
            let _ = self.runtime.block_on(quit);
            let _ = window.leak();
        }
        drop(self.driver.take());
        // If the browser did not answer, its processes are still there.
        let home = self.home.path().to_string_lossy().into_owned();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(&home) {
                let pid = process.file_name();
                let _ = Command::new("kill").args([OsStr::new("-9"), &pid]).status();
            }
        }
    }
}

/// The browser, if it and chromedriver are installed.
fn installed() -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let find = |name: &str| {
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
    };
    find("chromedriver")?;
    let browser = BROWSERS.iter().find_map(|name| find(name))?;
    Some(browser.to_string_lossy().into_owned())
}
