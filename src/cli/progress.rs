//! Progress of long work: a bar on a terminal, a line for each stage elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;

/// Steps of the bar.
const STEPS: u64 = 1000;

/// Shows how far a computation is; on standard error, so that output stays clean.
pub struct ProgressDisplay {
    bar: Option<ProgressBar>,
    stage: Mutex<String>,
}

impl ProgressDisplay {
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {elapsed}");
            let bar = ProgressBar::new(STEPS);
            // The template is ours; where it were wrong, the default style serves.
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, stage: Mutex::new(String::new()) }
    }

    /// `fraction` from 0 to 1, and what is being done.
    pub fn show(&self, fraction: f64, stage: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(stage.to_owned());
            bar.set_position((fraction.clamp(0.0, 1.0) * STEPS as f64) as u64);
            return;
        }
        let mut last = self.stage.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *last != stage {
            eprintln!("{:3.0} %  {stage}", fraction.clamp(0.0, 1.0) * 100.0);
            stage.clone_into(&mut last);
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Default for ProgressDisplay {
    fn default() -> Self {
        Self::new()
    }
}
