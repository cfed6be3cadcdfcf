//! Configuration, plans and protocols: one declaration a key, checked with file:line:column.
