//! Dose statistics, dose-volume histograms and biologically effective dose.
