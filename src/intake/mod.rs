//! When is a series complete, which plan, cycle and time point is it, and what is missing?
