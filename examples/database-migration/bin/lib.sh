# shellcheck shell=bash
# version_of DATABASE - version of its schema
version_of() { sqlite3 -readonly "$1" 'PRAGMA user_version'; }

# rows_of DATABASE - rows of all its tables
rows_of() {
	local table sum=0
	while IFS= read -r table; do
		sum=$((sum + $(sqlite3 -readonly "$1" "SELECT COUNT(*) FROM \"${table//\"/\"\"}\"")))
	done < <(sqlite3 -readonly "$1" "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
	echo "$sum"
}

# file_of MIGRATIONS VERSION - the file that leads to a version; nothing when there is not exactly one
file_of() {
	local files
	files=("$1"/"$(printf %03d "$2")"-*.sql)
	[ ${#files[@]} -ne 1 ] || [ ! -f "${files[0]}" ] || echo "${files[0]}"
}
