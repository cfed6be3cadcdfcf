//! Concept names and values of the two reports (PS3.16 TID 10021 to 10023, 10030 to 10034).

use crate::report::codes::codes;

codes! {
    ADMINISTRATION_REPORT = "113500", "DCM", "Radiopharmaceutical Radiation Dose Report";
    ASSOCIATED_PROCEDURE = "363589002", "SCT", "Associated Procedure";
    RADIONUCLIDE_THERAPY = "399315003", "SCT", "Radionuclide therapy";
    HAS_INTENT = "363703001", "SCT", "Has Intent";
    THERAPEUTIC = "262202000", "SCT", "Therapeutic Intent";
    ADMINISTRATION = "113502", "DCM", "Radiopharmaceutical Administration";
    AGENT = "349358000", "SCT", "Radiopharmaceutical agent";
    RADIONUCLIDE = "89457008", "SCT", "Radionuclide";
    HALF_LIFE = "304283002", "SCT", "Radionuclide Half Life";
    EVENT = "113503", "DCM", "Radiopharmaceutical Administration Event UID";
    START = "123003", "DCM", "Radiopharmaceutical Start DateTime";
    ADMINISTERED = "113507", "DCM", "Administered activity";
    BEFORE = "113508", "DCM", "Pre-Administration Measured Activity";
    AFTER = "113509", "DCM", "Post-Administration Measured Activity";
    MEASUREMENT_DEVICE = "113540", "DCM", "Activity Measurement Device";
    DOSE_CALIBRATOR = "113541", "DCM", "Dose Calibrator";
    SITE_OF = "272737002", "SCT", "Site of";
    UNKNOWN = "261665006", "SCT", "Unknown";
    PERSON_NAME = "113870", "DCM", "Person Name";
    PERSON_ROLE = "113875", "DCM", "Person Role in Procedure";
    ADMINISTERING = "113851", "DCM", "Irradiation Administering";
    COMMENT = "121106", "DCM", "Comment";

    PATIENT_REPORT = "128401", "DCM", "Patient Radiation Dose Report";
    ESTIMATE = "128402", "DCM", "Radiation Dose Estimate";
    ESTIMATE_NAME = "128403", "DCM", "Radiation Dose Estimate Name";
    MEAN_DOSE = "128533", "DCM", "Mean Absorbed Radiation Dose";
    MINIMUM_DOSE = "128532", "DCM", "Minimum Absorbed Radiation Dose";
    MAXIMUM_DOSE = "128531", "DCM", "Maximum Absorbed Radiation Dose";
    MEDIAN_DOSE = "128539", "DCM", "Median Absorbed Radiation Dose";
    UNCERTAINTY_METHOD =
        "128511", "DCM", "Reference to Uncertainty Determination Method";
    REPRESENTATION = "128412", "DCM", "Radiation Dose Estimate Representation";
    DISTRIBUTION = "128413", "DCM", "Distribution Representation";
    DOSE_MAP = "128487", "DCM", "3D Dose Map";
    REPRESENTATION_DATA = "128414", "DCM", "Radiation Dose Representation Data";
    METHODOLOGY = "128415", "DCM", "Radiation Dose Estimate Methodology";
    SR_USED = "128416", "DCM", "SR Instance Used";
    MODEL = "128500", "DCM", "Patient Radiation Dose Model";
    MODEL_TYPE = "128417", "DCM", "Patient Model Type";
    SEGMENTED_MODEL = "128494", "DCM", "Patient Segmented Model";
    TRANSPORT_TYPE = "128420", "DCM", "Radiation Transport Model Type";
    VOXELIZED = "128422", "DCM", "Voxelized Radiation Transport Model";
    MODEL_DATA = "128425", "DCM", "Patient Radiation Dose Model Data";
    DEMOGRAPHICS = "128427", "DCM", "Patient Model Demographics";
    METHOD = "128476", "DCM", "Radiation Dose Estimate Method";
    METHOD_TYPE = "128477", "DCM", "Radiation Dose Estimate Method Type";
    MONTE_CARLO = "D009010", "MSH", "Monte Carlo Method";
    ANALYTICAL = "128480", "DCM", "Analytical Algorithm";
    TABULAR = "128479", "DCM", "Tabular Data Algorithm";
    METHOD_REFERENCE = "128482", "DCM", "Radiation Dose Estimate Method Reference";

    SECOND = "s", "UCUM", "seconds";
    INTRAVENOUS = "47625008", "SCT", "Intravenous route";
    INTRAMUSCULAR = "78421000", "SCT", "Intramuscular route";
}
