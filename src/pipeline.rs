//! The chain, one stage a line: the only place where stages meet.
