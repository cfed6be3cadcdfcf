"""What pydicom reads of an Encapsulated PDF, and whether its document is the given file."""
import json
import sys

import pydicom

obj = pydicom.dcmread(sys.argv[1])
document = obj.EncapsulatedDocument[: obj.EncapsulatedDocumentLength]
with open(sys.argv[2], "rb") as file:
    pages = file.read()
print(json.dumps({
    "same": document == pages,
    "mime": obj.MIMETypeOfEncapsulatedDocument,
    "modality": obj.Modality,
    "study": obj.StudyInstanceUID,
    "title": obj.DocumentTitle,
    "concept": obj.ConceptNameCodeSequence[0].CodeValue,
    "sources": [item.ReferencedSOPInstanceUID for item in obj.SourceInstanceSequence],
}))
