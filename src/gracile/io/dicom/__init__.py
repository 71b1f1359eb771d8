"""DICOM: pictures, series and enhanced volumes, clips, and segmentations."""

from gracile.io.dicom.files import DICOM_SUFFIXES, begins_as_dicom, dicom_files, is_dicom

__all__ = ["DICOM_SUFFIXES", "begins_as_dicom", "dicom_files", "is_dicom"]
