//! Stored numbers to becquerel per millilitre: unit ladder, calibration, decay to one instant.
