"""Writes CT slices and a multi-frame NM and stores them by STOW-RS: frames.py FOLDER SLICES ROOT..."""
import io
import sys
from pathlib import Path

import numpy as np
import pydicom
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

folder, slices, roots = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
folder.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(1)


def image(sop_class, series, number, modality, array):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, f"1.2.3.{series}.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID = "1.2.3", f"1.2.3.{series}", "B-1"
    ds.PatientName, ds.Modality, ds.InstanceNumber, ds.SeriesNumber = "Bench", modality, number, series
    if array.ndim == 3:
        ds.NumberOfFrames = array.shape[0]
    ds.Rows, ds.Columns = array.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelData = array.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return pydicom.dcmread(io.BytesIO(file.getvalue()))


objects = [image("1.2.840.10008.5.1.4.1.1.2", 1, n, "CT", rng.integers(0, 4096, (512, 512)))
           for n in range(1, slices + 1)]
objects.append(image("1.2.840.10008.5.1.4.1.1.20", 2, 1, "NM", rng.integers(0, 4096, (120, 128, 128))))
for root in roots:
    client = DICOMwebClient(url=root)
    for start in range(0, len(objects), 10):
        client.store_instances(objects[start:start + 10])
