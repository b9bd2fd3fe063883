-- Addresses of people, one or more for each.
CREATE TABLE mail (person INTEGER NOT NULL REFERENCES people (id), address TEXT NOT NULL UNIQUE);
