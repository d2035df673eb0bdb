-- What can be started by its name, where nobody has the code: the definition that was served last under each name, as
-- JSON. It is independent of `definitions`, which go with their runs.

CREATE TABLE workflows (
    name TEXT PRIMARY KEY,
    data TEXT NOT NULL
) WITHOUT ROWID;
