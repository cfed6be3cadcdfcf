"""dicomweb-client and pydicom against a running node: dicomweb.py URL STEP

Stores a handful of objects by STOW-RS, then takes one step and compares what comes back with what was sent.
"""
import io
import sys

import numpy as np
import pydicom
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

URL, STEP = sys.argv[1:3]
CT, NM, SEG, RTDOSE, PDF = (
    "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.481.2", "1.2.840.10008.5.1.4.1.1.104.1")
STUDY = "1.2.826.0.1.3680043.8.498.1"
rng = np.random.default_rng(1)


def base(sop_class, number, modality, series, syntax=ExplicitVRLittleEndian):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, f"{STUDY}.{series}.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, f"{STUDY}.{series}"
    ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "W-1", "Wéb^Ann", "19700102", "F"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260302", "101500", "7", "A-77"
    ds.StudyDescription, ds.ReferringPhysicianName = "Dosimetry", "Ref^Erring"
    ds.SeriesDescription, ds.SeriesNumber, ds.InstanceNumber = f"Series {series}", series, number
    ds.Modality = modality
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = sop_class, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def pixels(ds, array, bits, signed=0):
    frames, ds.Rows, ds.Columns = (array.shape if array.ndim == 3 else (None, *array.shape))
    if frames:
        ds.NumberOfFrames = frames
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, signed
    if bits == 1:
        raw = np.packbits(array.astype(np.uint8).ravel(), bitorder="little").tobytes()
    else:
        raw = array.astype(f"<{'i' if signed else 'u'}{bits // 8}").tobytes()
    ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OB" if bits <= 8 else "OW"
    return ds


def objects():
    made = []
    for number in (1, 2):
        ds = base(CT, number, "CT", 1, ImplicitVRLittleEndian)
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [-10.5, 2.25, 3.0 * number], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.RescaleSlope, ds.RescaleIntercept = [1.5, 1.5], 1, -1024
        ds.WindowCenter, ds.WindowWidth = 40, 400
        made.append(pixels(ds, rng.integers(-1000, 2000, (20, 31)), 16, 1))
    made.append(pixels(base(NM, 1, "NM", 2), rng.integers(0, 60000, (5, 16, 12)), 16))
    seg = pixels(base(SEG, 1, "SEG", 3), rng.integers(0, 2, (4, 7, 5)), 1)
    made.append(seg)
    dose = pixels(base(RTDOSE, 1, "RTDOSE", 4), rng.integers(0, 2**32 - 1, (3, 8, 8)), 32)
    dose.DoseGridScaling = "2.5E-09"
    made.append(dose)
    rle = pixels(base(CT, 1, "CT", 5), rng.integers(0, 4000, (2, 24, 18)) // 64 * 64, 16)
    rle.compress(RLELossless, generate_instance_uid=False)
    made.append(rle)
    pdf = base(PDF, 1, "DOC", 7)
    pdf.MIMETypeOfEncapsulatedDocument = "application/pdf"
    pdf.EncapsulatedDocument = b"%PDF-1.4\n" + b"x" * 4000 + b"\n%%EOF\n"
    pdf.EncapsulatedDocumentLength = len(pdf.EncapsulatedDocument)
    made.append(pdf)
    return [as_file(ds) for ds in made]


def as_file(ds):
    """As a file of the archive it came from: preamble and whole meta information."""
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return pydicom.dcmread(io.BytesIO(file.getvalue()))


client = DICOMwebClient(url=URL)
sent = objects()
answer = client.store_instances(sent)
assert len(answer.ReferencedSOPSequence) == len(sent), answer
assert "FailedSOPSequence" not in answer
by_series = {int(ds.SeriesNumber): ds for ds in sent}


def address(ds):
    return ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID


def same(got, ds):
    assert got.SOPInstanceUID == ds.SOPInstanceUID and got.PatientName == ds.PatientName
    assert [e.tag for e in got] == [e.tag for e in ds], (got, ds)


def store():
    # Again: the same bytes are a success and no second effect.
    again = client.store_instances(sent)
    assert len(again.ReferencedSOPSequence) == len(sent)
    other = as_file(pixels(base(CT, 1, "CT", 1), np.zeros((4, 4)), 16))
    wrong = as_file(pixels(base(CT, 9, "CT", 9), np.zeros((4, 4)), 16))
    wrong.Rows = 400  # lies
    try:
        client.store_instances([other, wrong])
        raise AssertionError("a conflict and a lie were taken")
    except Exception as error:  # noqa: BLE001  the client wraps requests' HTTPError
        response = error.response
    assert response.status_code == 409, response.status_code
    failed = {i["00081155"]["Value"][0]: i["00081197"]["Value"][0]
              for i in response.json()["00081198"]["Value"]}
    assert failed == {other.SOPInstanceUID: 0x0111, wrong.SOPInstanceUID: 0xC000}, failed
    good = as_file(pixels(base(CT, 3, "CT", 1), np.zeros((20, 31)), 16))
    try:
        client.store_instances([good], study_instance_uid=STUDY + ".99")
        raise AssertionError("an instance of another study was taken")
    except Exception as error:  # noqa: BLE001
        assert error.response.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]
    mixed = client.store_instances([good, wrong], study_instance_uid=STUDY)
    assert len(mixed.ReferencedSOPSequence) == 1 and len(mixed.FailedSOPSequence) == 1


def search():
    found = client.search_for_studies(search_filters={"PatientID": "W-1"})
    assert len(found) == 1, found
    study = Dataset.from_json(found[0])
    assert study.StudyInstanceUID == STUDY and study.NumberOfStudyRelatedInstances == len(sent)
    assert study.NumberOfStudyRelatedSeries == 6 and str(study.PatientName) == "Wéb^Ann"
    assert set(study.ModalitiesInStudy) == {"CT", "NM", "SEG", "RTDOSE", "DOC"}, study
    assert study.StudyDescription == "Dosimetry" and study.AccessionNumber == "A-77"
    assert study.StudyTime == "101500" and study.StudyID == "7" and study.ReferringPhysicianName == "Ref^Erring"
    for filters, count in (
            ({"00100020": "W-*"}, 1), ({"PatientName": "wéb*"}, 1), ({"PatientName": "x*"}, 0),
            ({"StudyDate": "20260301-20260303"}, 1), ({"StudyDate": "-20260301"}, 0),
            ({"ModalitiesInStudy": "NM"}, 1), ({"ModalitiesInStudy": "MR"}, 0),
            ({"StudyInstanceUID": f"1.2.3,{STUDY}"}, 1), ({"AccessionNumber": "A-7?"}, 1),
            # What is below a study, a time, and a case that only names pass over: as C-FIND has it.
            ({"SeriesDescription": "Series 3"}, 1), ({"SOPClassUID": NM}, 1), ({"SOPClassUID": "1.2.3"}, 0),
            ({"StudyTime": "1010-1020"}, 1), ({"StudyDescription": "dosimetry"}, 0)):
        got = client.search_for_studies(search_filters=filters)
        assert len(got) == count, (filters, got)
    series = client.search_for_series(study_instance_uid=STUDY, search_filters={"Modality": "CT"})
    assert sorted(s["00200011"]["Value"][0] for s in series) == [1, 5], series
    assert len(client.search_for_series(search_filters={"PatientID": "W-1"})) == 6
    instances = client.search_for_instances(STUDY, f"{STUDY}.1")
    assert [i["00200013"]["Value"][0] for i in instances] == [1, 2]
    assert instances[0]["00280010"]["Value"] == [20]
    assert len(client.search_for_instances(STUDY)) == len(sent)
    first = client.search_for_instances(STUDY, limit=3)
    rest = client.search_for_instances(STUDY, limit=100, offset=3)
    uids = [i["00080018"]["Value"][0] for i in first + rest]
    assert len(first) == 3 and len(set(uids)) == len(sent), uids
    import requests
    odd = requests.get(f"{URL}/studies", params={"PatientComments": "x"})
    assert len(odd.json()) == 1 and "passed over" in odd.headers["Warning"], odd.headers
    assert requests.get(f"{URL}/studies", params={"StudyDate": "yesterday"}).status_code == 400
    assert client.search_for_studies(fuzzymatching=True, fields=["StudyDescription", "00100040"])


def retrieve():
    got = {ds.SOPInstanceUID: ds for ds in client.retrieve_study(STUDY)}
    assert len(got) == len(sent)
    for ds in sent:
        same(got[ds.SOPInstanceUID], ds)
        if "PixelData" in ds and ds.SOPClassUID != SEG:
            assert np.array_equal(got[ds.SOPInstanceUID].pixel_array, ds.pixel_array), ds.Modality
    assert len(client.retrieve_series(STUDY, f"{STUDY}.1")) == 2
    # As kept, and as Explicit VR Little Endian for who names nothing.
    import requests
    for ds in sent:
        at = f"{URL}/studies/{STUDY}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
        kept = requests.get(at, headers={"Accept": "application/dicom; transfer-syntax=*"}).content
        as_sent = io.BytesIO()
        ds.save_as(as_sent, enforce_file_format=True)
        meta_end = lambda b: 144 + int.from_bytes(b[140:144], "little")  # noqa: E731
        assert kept[meta_end(kept):] == as_sent.getvalue()[meta_end(as_sent.getvalue()):], ds.Modality
        plain = pydicom.dcmread(io.BytesIO(requests.get(at, headers={"Accept": "application/dicom"}).content))
        assert plain.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        same(plain, ds)
        if "PixelData" in ds:
            assert np.array_equal(plain.pixel_array, ds.pixel_array), ds.Modality


def metadata():
    for ds in sent:
        (got,) = [client.retrieve_instance_metadata(*address(ds))]
        assert got["00080005"]["Value"] == ["ISO_IR 192"]
        back = Dataset.from_json(got, bulk_data_uri_handler=lambda tag, vr, uri: b"")
        for element in ds:
            if element.keyword in ("PixelData", "EncapsulatedDocument", "SpecificCharacterSet"):
                continue
            assert back[element.tag].value == element.value, (element, back[element.tag])
    ct = client.retrieve_series_metadata(STUDY, f"{STUDY}.1")
    assert [m["00200032"]["Value"] for m in ct] == [[-10.5, 2.25, 3], [-10.5, 2.25, 6]]
    assert len(client.retrieve_study_metadata(STUDY)) == len(sent)
    pdf = by_series[7]
    uri = client.retrieve_instance_metadata(*address(pdf))["00420011"]["BulkDataURI"]
    assert client.retrieve_bulkdata(uri)[0] == pdf.EncapsulatedDocument
    uri = client.retrieve_instance_metadata(*address(by_series[2]))["7FE00010"]["BulkDataURI"]
    assert client.retrieve_bulkdata(uri)[0] == by_series[2].PixelData


def frames():
    for number in (2, 4, 5):
        ds = by_series[number]
        array = ds.pixel_array
        wanted = [len(array), 1]
        for frame, raw in zip(wanted, client.retrieve_instance_frames(*address(ds), wanted)):
            assert raw == array[frame - 1].astype(array.dtype.newbyteorder("<")).tobytes(), (number, frame)
    seg = by_series[3]
    for frame, raw in enumerate(client.retrieve_instance_frames(*address(seg), [1, 2, 3, 4])):
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[:35].reshape(7, 5)
        assert np.array_equal(bits, seg.pixel_array[frame]), frame
    # The code itself for who takes any transfer syntax.
    import requests
    rle = by_series[5]
    at = f"{URL}/studies/{STUDY}/series/{rle.SeriesInstanceUID}/instances/{rle.SOPInstanceUID}/frames/2"
    got = requests.get(at, headers={"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'})
    assert RLELossless.encode() in got.content and b"application/octet-stream" in got.content
    code = list(pydicom.encaps.generate_frames(rle.PixelData, number_of_frames=2))[1]
    assert code in got.content
    assert requests.get(at.replace("frames/2", "frames/3")).status_code == 400
    assert requests.get(at, headers={"Accept": "text/html"}).status_code == 406


def rendered():
    from PIL import Image
    for number in (1, 2, 3, 4, 5):
        ds = by_series[number]
        png = client.retrieve_instance_rendered(*address(ds), media_types=("image/png",))
        image = np.asarray(Image.open(io.BytesIO(png)))
        assert image.shape == (ds.Rows, ds.Columns), (number, image.shape)
    ct = by_series[1]
    png = client.retrieve_instance_rendered(*address(ct), media_types=("image/png",))
    hu = ct.pixel_array - 1024.0
    shown = np.clip((hu - 39.5) / 399 + 0.5, 0, 1) * 255
    assert np.abs(np.asarray(Image.open(io.BytesIO(png))) - shown).max() <= 1
    nm = by_series[2]
    (jpeg,) = [client.retrieve_instance_frames_rendered(
        *address(nm), frame_numbers=[3], media_types=("image/jpeg",), params={"window": "30000,60000,linear-exact", "quality": "100"})]
    got = np.asarray(Image.open(io.BytesIO(jpeg))).astype(float)
    assert np.abs(got - nm.pixel_array[2] / 60000 * 255).mean() < 3
    dose = by_series[4]
    png = client.retrieve_instance_frames_rendered(*address(dose), frame_numbers=[2], media_types=("image/png",), params={"window": "5,10,linear-exact"})
    gray = dose.pixel_array[1] * 2.5e-9
    assert np.abs(np.asarray(Image.open(io.BytesIO(png))) - np.clip(gray / 10, 0, 1) * 255).max() <= 1
    assert client.retrieve_instance_rendered(*address(by_series[7]), media_types=("application/pdf",)) == by_series[7].EncapsulatedDocument
    import requests
    small = requests.get(f"{URL}/studies/{STUDY}/series/{STUDY}.1/thumbnail?viewport=8,8", headers={"Accept": "image/png"})
    assert max(Image.open(io.BytesIO(small.content)).size) == 8


globals()[STEP]()
print("ok")
