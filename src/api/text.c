/* text.c - answers that need no run and no state directory */
#include "api/api.h"

#include "report/explain.h"

enum sluice_code sluice_explain_code(const char *code, char **ret_text, struct sluice_error *err)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err cause = ERR_INIT;

	if (!code || !ret_text)
		return api_usage(err, "sluice_explain_code needs a code and an answer");
	if (explain_code(str_of(code), &out, &cause) != ERR_OK)
		return api_err(err, &cause);
	return api_text(&out, ret_text, err);
}
