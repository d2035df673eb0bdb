-- What can be started by its name, where nobody has the code: the definition that was served last under each name, as
-- JSON. It is independent of `definitions`, which go with their runs.

CREATE TABLE workflows (
    name TEXT COLLATE "C" PRIMARY KEY,
    data TEXT COLLATE "C" NOT NULL
);
