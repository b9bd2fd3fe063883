/* schema.c - the pipeline file as a JSON Schema */
#include "api/api.h"

#include "lang/schema.h"
#include "report/pretty.h"

enum sluice_code sluice_schema(char **ret_text, struct sluice_error *err)
{
	AUTO(buf_fini) struct buf compact = BUF_INIT;
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err cause = ERR_INIT;

	if (!ret_text)
		return api_usage(err, "sluice_schema needs an answer");
	schema_write(&compact);
	if (buf_check(&compact, "schema", &cause) != ERR_OK)
		return api_err(err, &cause);
	pretty_json(&out, buf_view(&compact));
	buf_byte(&out, '\n');
	return api_text(&out, ret_text, err);
}
