//! Maps from one grid to another: integral kept (activity) or value interpolated (HU).
