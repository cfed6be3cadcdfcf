"""A sender that remembers what it was promised.

Its instances bear the name that is its argument. Reads lines `PORT COUNT` from stdin. For each: associates with GRAYD at 127.0.0.1:PORT, sends up to COUNT
new small CT instances one after the other, prints `ack UID SHA256` for every success status (the hash is
of the data set's bytes as sent), and `end` when done or when the node is gone.
"""

import hashlib
import sys

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.dsutils import encode

STUDY, SERIES = generate_uid(entropy_srcs=["study"]), generate_uid(entropy_srcs=["series"])


def instance(number):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[sys.argv[1], str(number)])
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.PatientID, ds.PatientName = "DURABLE-1", "Durable^Test"
    ds.Modality, ds.InstanceNumber = "CT", number
    ds.StudyDate, ds.StudyTime = "20260302", "101500"
    ds.AcquisitionDate, ds.AcquisitionTime = "20260302", "101500"
    ds.FrameOfReferenceUID = STUDY + ".1"
    ds.ImagePositionPatient = [0, 0, number]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [1, 1], 1
    ds.Rows = ds.Columns = 64
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 15, 1, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    ds.PixelData = number.to_bytes(4, "little") * (64 * 64 // 2)
    return ds


def main():
    number = 0
    for line in sys.stdin:
        port, count = map(int, line.split())
        ae = AE(ae_title="TESTSCU")
        # pynetdicom often notices a killed node by its timeouts alone; one that strikes early costs
        # acknowledgements and nothing else.
        ae.acse_timeout = ae.connection_timeout = 1
        ae.dimse_timeout = ae.network_timeout = 0.4
        ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", port, ae_title="GRAYD")
        if association.is_established:
            for _ in range(count):
                number += 1
                ds = instance(number)
                digest = hashlib.sha256(encode(ds, False, True)).hexdigest()
                try:
                    status = association.send_c_store(ds)
                except (RuntimeError, ValueError):
                    break
                if status and status.Status == 0x0000:
                    print("ack", ds.SOPInstanceUID, digest, flush=True)
                elif not association.is_established:
                    break
            if association.is_established:
                association.release()
        print("end", flush=True)


main()
