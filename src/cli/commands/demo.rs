//! `costag demo`: runs the whole job against the built-in emulator, on the demo's pictures or on a person's own.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::execute_job;
use crate::cli::exit::Exit;
use crate::cli::fault::LocalFault;
use crate::cli::options::global::GlobalOptions;
use crate::cli::report_file::{self, Pictures};
use crate::cli::suggest::Again;
use crate::cli::table::Table;
use crate::cli::{opened, page};
use crate::config::{Rate, Settings};
use crate::cos::{Bucket, Client, Credentials, Endpoint, Options, Provider};
use crate::emulator::{self, Emulator, Holdings, pictures};
use crate::export::{self, Format, Layout, Output, Shape};
use crate::job::{Job, Purpose, Source};
use crate::numbers::counted;
use crate::pictures::Folder;
use crate::scene::Scene;
use crate::serve;
use crate::store::Reader;
use crate::store::read::ExportFilter;
use crate::visible::visible;

/// Tag a folder of pictures with the built-in emulator, without an account or a network
///
/// Writes about a hundred small pictures, serves them as a bucket on this machine, and runs the whole job on it: list, call, store,
/// export. A second demo in the same folder shows that nothing is called again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of your own pictures (PNG, JPEG, WebP) to use instead
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Folder for the pictures, the database, the CSV and the report
    #[arg(long, value_name = "DIR", default_value = "costag-demo")]
    out: PathBuf,
    /// Keep the page of the result open in the browser, as `costag serve` does, until Ctrl-C
    #[arg(long)]
    serve: bool,
}

/// What helps if the folder cannot be written.
const NO_FOLDER: LocalFault =
    LocalFault("the demo needs a folder that it can write to: name another one with --out");

/// Rows in the table of the most frequent labels.
const LABELS: u32 = 8;
/// Rows of the CSV that are shown, with its header.
const ROWS: usize = 6;
/// Calls a second: slow enough to watch, fast enough to wait for.
const RATE: f64 = 20.0;

impl Args {
    /// Runs the demo, prints where the database, the CSV and the report are, and serves the page if that is wanted.
    ///
    /// # Errors
    /// The folder cannot be written, or the run fails.
    pub fn execute(self, global: &GlobalOptions) -> anyhow::Result<Exit> {
        let given = global.settings(|_| ())?;
        let images = self.pictures()?;
        let database = self.out.join("costag.db");
        let csv = self.out.join("tags.csv");
        let options = emulator::Options {
            holdings: Holdings::Images(images.clone()),
            settings: emulator::Settings { latency_ms: 60, jitter_ms: 40, ..Default::default() },
            ..emulator::Options::default()
        };
        let bucket = Bucket::parse(&options.bucket)?;
        let (secret_id, secret_key) = (options.secret_id.clone(), options.secret_key.clone());
        let emulator = Emulator::start(options).context("the emulator cannot be started")?;
        say!(
            "the emulator serves {} as the bucket {bucket} on {}",
            visible(&images.display().to_string()),
            emulator.endpoint()
        );
        let mut settings = Settings { logging: given.logging, ..Settings::default() };
        settings.stored.scenes = [Scene::Web, Scene::Camera].into_iter().collect();
        settings.pace.qps = Rate::PerSecond(RATE);
        settings.connection.patience = Duration::from_secs(20);
        let runtime = execute_job::runtime()?;
        let exit = runtime.block_on(async {
            let credentials = Credentials {
                secret_id,
                secret_key: secret_key.into(),
                token: None,
                expires_at: None,
            };
            let provider = Arc::new(Provider::fixed(credentials));
            let endpoint = Endpoint::custom(&emulator.endpoint())?;
            let client = Client::new(endpoint, provider, &Options::default())?;
            let store = opened::open(&database)?;
            let source = Source::Bucket { prefix: String::new() };
            let job = Job::begin(store, client, &bucket, source, settings, Purpose::Tag)?;
            let (exit, report) = Box::pin(execute_job::run_with_summary(job, &database, &Again::demo(&database))).await?;
            if report.snapshot.counts.calls == 0 {
                say!(
                    "nothing was called, because an earlier demo has labelled everything; remove {} to see the calls \
                     again",
                    visible(&self.out.display().to_string())
                );
            }
            anyhow::Ok(exit)
        })?;
        emulator.stop();
        // One picture is damaged on purpose, as some are in real buckets.
        let exit = if exit == Exit::ImagesFailed { Exit::Complete } else { exit };
        if exit != Exit::Complete {
            return Ok(exit);
        }
        let rows = export_csv(&database, &csv)?;
        let report = self.out.join("report.html");
        let pictures = page::folder(images)?;
        write_report(&database, &pictures, &report)?;
        show(&database, &csv, rows, &report)?;
        if !self.serve {
            return Ok(exit);
        }
        let pictures = serve::Pictures::Folder(pictures);
        let site = page::site(&database, &Settings::default().budget, Arc::default(), pictures);
        let exit = runtime.block_on(page::serve(site, 0));
        // A read under way may take long, and nothing depends on its end.
        runtime.shutdown_background();
        exit
    }

    /// The folder of pictures. They are written if no folder was given.
    fn pictures(&self) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create the folder {}", self.out.display()))
            .context(NO_FOLDER)?;
        if let Some(images) = &self.images {
            page::folder(images.clone())?;
            return Ok(images.clone());
        }
        let images = self.out.join("images");
        if !images.exists() {
            let drawn = pictures::write_samples(&images)
                .with_context(|| format!("cannot write pictures into {}", images.display()))
                .context(NO_FOLDER)?;
            say!(
                "wrote {} into {}",
                counted(drawn as u64, "file"),
                visible(&images.display().to_string())
            );
        }
        Ok(images)
    }
}

fn export_csv(database: &Path, csv: &Path) -> anyhow::Result<u64> {
    let reader = Reader::open(database)?;
    let mut labels = reader.export(ExportFilter::default())?;
    let shape = Shape::whole(Format::Csv, Layout::Long);
    let mut output = Output::open(csv)?;
    let rows = export::write(&mut labels, shape, &mut output, || true)?;
    output.commit()?;
    Ok(rows)
}

fn write_report(database: &Path, images: &Folder, target: &Path) -> anyhow::Result<()> {
    let reader = Reader::open(database)?;
    let budget = Settings::default().budget;
    let pictures = Pictures::Folder(images);
    if let Some(html) =
        report_file::make(&reader, database, &budget, Arc::default(), pictures, || true)?
    {
        let mut output = Output::open(target)?;
        output.write_all(html.as_bytes()).map_err(|source| output.error(source))?;
        output.commit()?;
    }
    Ok(())
}

fn show(database: &Path, csv: &Path, rows: u64, report: &Path) -> anyhow::Result<()> {
    let mut labels = Table::new(&["label", "first category", "second category", "labels"]);
    for tag in Reader::open(database)?.top_tags(LABELS)? {
        labels.row([tag.name, tag.first_category, tag.second_category, tag.labels.to_string()]);
    }
    let mut out = Output::open(Path::new("-"))?;
    let first = BufReader::new(fs::File::open(csv)?).lines().take(ROWS);
    let mut text = format!("\nmost frequent labels\n{labels}\nfirst rows of the CSV\n");
    for line in first {
        text.push_str(&visible(&line?));
        text.push('\n');
    }
    let _ = write!(
        text,
        "\ndatabase  {}\nCSV       {}  ({})\n\
         report    {}  (open it in a browser)\n\n\
         the same with a real bucket:\n  \
         export COSTAG_SECRET_ID=… COSTAG_SECRET_KEY=…\n  \
         costag run cos://BUCKET-APPID --region ap-guangzhou --scenes web,camera --qps 10\n",
        visible(&database.display().to_string()),
        visible(&csv.display().to_string()),
        counted(rows, "row"),
        visible(&report.display().to_string()),
    );
    out.write_all(text.as_bytes()).map_err(|source| out.error(source))?;
    out.commit()?;
    Ok(())
}
