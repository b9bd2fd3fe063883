/* library.c - see library.h */
#include "sys/library.h"

#include <dlfcn.h>

enum err_code library_open(const char *name, void **ret_library, struct err *err)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return err_set(err, ERR_UNSUPPORTED, "load %s: %s", name, dlerror());
	*ret_library = library;
	return ERR_OK;
}

void *library_symbol(void *library, const char *name)
{
	return dlsym(library, name);
}
