//! Concept names and units of the report (PS3.16). What no scheme has a code for stands in the
//! private scheme `99RPT`, which the document declares.

use crate::dicom::write::Code;

macro_rules! codes {
    ($($name:ident = $value:literal, $scheme:literal, $meaning:literal;)*) => {
        $(pub(in crate::report) static $name: Code = Code::new($value, $scheme, $meaning);)*
    };
}

codes! {
    REPORT = "126000", "DCM", "Imaging Measurement Report";
    LANGUAGE = "121049", "DCM", "Language of Content Item and Descendants";
    ENGLISH = "en-US", "RFC5646", "English (United States)";
    OBSERVER_TYPE = "121005", "DCM", "Observer Type";
    DEVICE = "121007", "DCM", "Device";
    DEVICE_UID = "121012", "DCM", "Device Observer UID";
    DEVICE_NAME = "121013", "DCM", "Device Observer Name";
    DEVICE_MANUFACTURER = "121014", "DCM", "Device Observer Manufacturer";
    DEVICE_MODEL = "121015", "DCM", "Device Observer Model Name";
    DEVICE_SERIAL = "121016", "DCM", "Device Observer Serial Number";
    PROCEDURE_REPORTED = "121058", "DCM", "Procedure reported";
    NM_PROCEDURE = "49118-3", "LN", "NM unspecified body region";
    PET_PROCEDURE = "44136-0", "LN", "PET unspecified body region";
    IMAGE_LIBRARY = "111028", "DCM", "Image Library";
    IMAGE_LIBRARY_GROUP = "126200", "DCM", "Image Library Group";
    MODALITY = "121139", "DCM", "Modality";
    MODALITY_NM = "NM", "DCM", "Nuclear Medicine";
    MODALITY_PT = "PT", "DCM", "Positron emission tomography";
    MODALITY_CT = "CT", "DCM", "Computed Tomography";
    MODALITY_MR = "MR", "DCM", "Magnetic Resonance";
    ACQUISITION_DATE = "126201", "DCM", "Acquisition Date";
    ACQUISITION_TIME = "126202", "DCM", "Acquisition Time";
    IMAGING_MEASUREMENTS = "126010", "DCM", "Imaging Measurements";
    MEASUREMENT_GROUP = "125007", "DCM", "Measurement Group";
    ACTIVITY_SESSION = "C67447", "NCIt", "Activity Session";
    TRACKING_IDENTIFIER = "112039", "DCM", "Tracking Identifier";
    TRACKING_UID = "112040", "DCM", "Tracking Unique Identifier";
    FINDING_CATEGORY = "276214006", "SCT", "Finding category";
    FINDING = "121071", "DCM", "Finding";
    FINDING_SITE = "363698007", "SCT", "Finding Site";
    LATERALITY = "272741003", "SCT", "Laterality";
    REFERENCED_SEGMENT = "121191", "DCM", "Referenced Segment";
    SOURCE_SERIES = "121232", "DCM", "Source series for segmentation";
    TIME_POINT = "C2348792", "UMLS", "Time Point";
    TIME_POINT_ORDER = "126073", "DCM", "Time Point Order";
    ALGORITHM_NAME = "111001", "DCM", "Algorithm Name";
    ALGORITHM_VERSION = "111003", "DCM", "Algorithm Version";
    ALGORITHM_PARAMETERS = "111002", "DCM", "Algorithm Parameters";
    QUALITATIVE = "C0034375", "UMLS", "Qualitative Evaluations";

    ABSORBED_DOSE = "128513", "DCM", "Absorbed Dose";
    DERIVATION = "121401", "DCM", "Derivation";
    MEAN = "373098007", "SCT", "Mean";
    MINIMUM = "255605001", "SCT", "Minimum";
    MAXIMUM = "56851009", "SCT", "Maximum";
    MEDIAN = "373099004", "SCT", "Median";
    STANDARD_DEVIATION = "386136009", "SCT", "Standard Deviation";
    VOLUME = "118565006", "SCT", "Volume";
    MASS = "118538004", "SCT", "Mass";
    METHOD = "370129005", "SCT", "Measurement Method";
    SEGMENTED_VOXELS = "126030", "DCM", "Sum of segmented voxel method for volume";
    VOLUME_PERCENTAGE = "130021", "DCM", "Specified Volume Percentage";
    LQ_LOW_DOSE_RATE =
        "130134", "DCM", "Linear-Quadratic Model for Low-Dose Rate Brachytherapy";
    REPAIR_HALF_TIME = "130091", "DCM", "Half-time for Tissue Repair";

    D98 = "D98", "99RPT", "Minimum dose to hottest 98% of volume";
    D95 = "D95", "99RPT", "Minimum dose to hottest 95% of volume";
    D90 = "D90", "99RPT", "Minimum dose to hottest 90% of volume";
    D50 = "D50", "99RPT", "Minimum dose to hottest 50% of volume";
    D2 = "D2", "99RPT", "Minimum dose to hottest 2% of volume";
    ACTIVITY = "ACTIVITY", "99RPT", "Activity in region at beginning of acquisition";
    TIA = "TIA", "99RPT", "Time-integrated activity";
    TIAC = "TIAC", "99RPT", "Time-integrated activity coefficient";
    EFFECTIVE_HALF_LIFE = "TEFF", "99RPT", "Effective half-life";
    DOSE_PER_ACTIVITY = "DPERA", "99RPT", "Absorbed dose per administered activity";
    ALPHA_DOSE = "ALPHADOSE", "99RPT", "Absorbed dose by alphas and their recoil nuclei";
    ELECTRON_DOSE = "ELDOSE", "99RPT", "Absorbed dose by electrons";
    WEIGHTED_DOSE = "RBEDOSE", "99RPT", "Dose with alphas weighted by their effectiveness";
    RBE = "RBE", "99RPT", "Relative biological effectiveness of alphas";
    THERAPY_DOSE = "THERAPYDPERA", "99RPT", "Absorbed dose per activity of the therapy planned";
    THERAPY = "THERAPY", "99RPT", "Therapy that the tracer stands for";
    BED = "BED", "99RPT", "Biologically Effective Dose";
    EQD2 = "EQD2", "99RPT", "Dose in fractions of 2 Gy with the same effect";
    EUD = "EUD", "99RPT", "Equivalent uniform dose";
    EUD_ALPHA = "EUDALPHA", "99RPT", "Linear radiosensitivity";
    MEAN_VOXEL_BED = "VOXELBED", "99RPT", "Mean of Biologically Effective Dose of voxels";
    VOLUME_AT = "VOLUMEAT", "99RPT", "Part of volume that receives at least a dose";
    AT_DOSE = "ATDOSE", "99RPT", "Dose that is received at least";
    ALPHA_BETA = "ALPHABETA", "99RPT", "Ratio of linear to quadratic radiosensitivity";
    UNCERTAINTY =
        "RELUNC", "99RPT", "Relative standard uncertainty of mean absorbed dose, k=1";
    UNCERTAINTY_PART =
        "RELUNCPART", "99RPT", "Contribution to relative uncertainty of mean absorbed dose";
    UNCERTAINTY_SOURCE = "UNCSRC", "99RPT", "Source of uncertainty";
    UNCERTAINTY_UNKNOWN = "UNCUNKNOWN", "99RPT", "Source of uncertainty that is not known";
    CUMULATIVE_DOSE = "CUMDOSE", "99RPT", "Absorbed dose of the course so far";
    CUMULATIVE_UNCERTAINTY =
        "CUMUNC", "99RPT", "Standard uncertainty of absorbed dose of the course, k=1";
    CUMULATIVE_BED = "CUMBED", "99RPT", "Biologically Effective Dose of the course so far";
    DOSE_LIMIT = "DOSELIMIT", "99RPT", "Limit of absorbed dose";
    DOSE_LEFT = "DOSELEFT", "99RPT", "Absorbed dose left to the limit";
    BED_LIMIT = "BEDLIMIT", "99RPT", "Limit of Biologically Effective Dose";
    BED_LEFT = "BEDLEFT", "99RPT", "Biologically Effective Dose left to the limit";
    ABOVE_LIMIT = "PABOVE", "99RPT", "Probability of absorbed dose above the limit";
    PROPOSED_ACTIVITY = "PROPACT", "99RPT", "Proposed activity";
    UNROUNDED_ACTIVITY = "UNROUNDACT", "99RPT", "Proposed activity before rounding";
    ALLOWED_ACTIVITY = "ALLOWACT", "99RPT", "Activity that one constraint alone allows";
    CONSTRAINT = "CONSTRAINT", "99RPT", "Constraint";
    VERDICT = "VERDICT", "99RPT", "Verdict on the next activity";
    LIMITING = "LIMITING", "99RPT", "Limiting constraint";
    COURSE_STATE = "STATE", "99RPT", "State of the course";
    LEDGER = "LEDGER", "99RPT", "Entry of the course's ledger";
    HOLD = "HOLD", "99RPT", "Reason for a hold";
    SIGNATURE = "SIGNATURE", "99RPT", "Signature";
    KINETIC_BIAS = "KINBIAS", "99RPT", "Bias of the time-integrated activity";
    COURSE_NOTE = "NOTE", "99RPT", "Note on the course";
    WARNING = "WARNING", "99RPT", "Warning";
    RESEARCH = "RESEARCH", "99RPT", "Regulatory state";
    ADMINISTRATION = "ADMIN", "99RPT", "Administration";
    PROTOCOL = "PROTOCOL", "99RPT", "Dosimetry protocol";
    ROUTE = "410675002", "SCT", "Route of administration";
    ACTIVITY_METER = "METER", "99RPT", "Activity meter";
    CO_MEDICATION = "COMED", "99RPT", "Co-medication";
    ENGINE = "ENGINE", "99RPT", "Absorbed dose calculation";
    QUANTIFICATION = "QUANT", "99RPT", "Quantification of activity";
    KINETIC_MODEL = "KINMODEL", "99RPT", "Kinetic model";
    RECOVERY = "RECOVERY", "99RPT", "Recovery coefficient";
    BIOLOGY_SOURCE = "BIOSRC", "99RPT", "Provenance of radiobiological parameters";

    GRAY = "Gy", "UCUM", "Gy";
    PER_GRAY = "/Gy", "UCUM", "/Gy";
    GRAY_PER_GBQ = "Gy/GBq", "UCUM", "Gy/GBq";
    CUBIC_CENTIMETRE = "cm3", "UCUM", "cm3";
    GRAM = "g", "UCUM", "g";
    MEGABECQUEREL = "MBq", "UCUM", "MBq";
    MEGABECQUEREL_HOUR = "MBq.h", "UCUM", "MBq.h";
    HOUR = "h", "UCUM", "h";
    PERCENT = "%", "UCUM", "%";
    UNITY = "1", "UCUM", "no units";
}
