"""Data sets: which files make a case, what is wrong with them, how they are split, and what identifies them."""

from gracile.data.case_files import CaseFiles, labeled, read_case, select
from gracile.data.check import Problem, Report, check_cases, check_data
from gracile.data.fingerprint import fingerprint, image_checksum
from gracile.data.folds import Fold, folds_by_subject, load_folds, save_folds
from gracile.data.layouts import LAYOUTS, find_cases
from gracile.data.near_duplicates import Pair, near_duplicates
from gracile.data.problem_lines import problem_lines
from gracile.data.splits import load_split, save_split, split_by_subject

__all__ = [
    "LAYOUTS",
    "CaseFiles",
    "Fold",
    "Pair",
    "Problem",
    "Report",
    "check_cases",
    "check_data",
    "find_cases",
    "fingerprint",
    "folds_by_subject",
    "image_checksum",
    "labeled",
    "load_folds",
    "load_split",
    "near_duplicates",
    "problem_lines",
    "read_case",
    "save_folds",
    "save_split",
    "select",
    "split_by_subject",
]
