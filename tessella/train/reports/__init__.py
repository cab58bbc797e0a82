"""The report of a training: one HTML page with everything inside, written anew while it goes on."""

from tessella.train.reports.mistakes import Mistake
from tessella.train.reports.record import Record, read_record
from tessella.train.reports.writing import Report, report

__all__ = ["Mistake", "Record", "Report", "read_record", "report"]
