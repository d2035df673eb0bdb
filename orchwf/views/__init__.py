"""A run for human eyes: rows, labels and lines. Pure functions, shared by whatever shows runs."""

from .changes import Changes as Changes
from .changes import event_line as event_line
from .resuming import Resumption as Resumption
from .resuming import fork_lines as fork_lines
from .resuming import is_required as is_required
from .resuming import is_undoing as is_undoing
from .resuming import resume_lines as resume_lines
from .resuming import started_line as started_line
from .runs import RunRow as RunRow
from .runs import clock_time as clock_time
from .runs import iso_time as iso_time
from .runs import local_time as local_time
from .runs import mark_of as mark_of
from .runs import run_row as run_row
from .runs import tags_text as tags_text
from .steps import attempt_lines as attempt_lines
from .steps import is_progress as is_progress
from .steps import progress_text as progress_text
from .steps import step_line as step_line
from .steps import steps_to_show as steps_to_show
