//! Time-integrated activity to absorbed dose.
