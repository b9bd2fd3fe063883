/* completion.c - sluice completion: what a shell needs to complete our command lines
 *
 * The scripts know nothing: they ask `sluice completion candidates -- WORD...`, which knows the
 * tables and looks at runs and files. They are quiet, whatever happens. */
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/complete.h"

#include <stdio.h>
#include <string.h>

/* Bash takes `=` and `:` for borders of words: they are put together again, and what stands before
 * the last border is cut off the answers. */
static const char bash_script[] =
    "# bash completion of sluice: eval \"$(sluice completion bash)\"\n"
    "_sluice()\n"
    "{\n"
    "	local words=() word line cut joined=0 i IFS=$' \\t\\n'\n"
    "	for ((i = 1; i <= COMP_CWORD; i++)); do\n"
    "		word=${COMP_WORDS[i]}\n"
    "		if ((${#words[@]} > 0 && joined)) || { [[ $word == [=:]* ]] && ((${#words[@]} > "
    "0)); }; "
    "then\n"
    "			words[${#words[@]}-1]+=$word\n"
    "		else\n"
    "			words+=(\"$word\")\n"
    "		fi\n"
    "		joined=0\n"
    "		[[ $word == *[=:] ]] && joined=1\n"
    "	done\n"
    "	word=${words[${#words[@]}-1]}\n"
    "	cut=${word%\"${word##*[=:]}\"}\n"
    "	COMPREPLY=()\n"
    "	while IFS= read -r line; do\n"
    "		case $line in\n"
    "		:files)\n"
    "			compopt -o filenames 2>/dev/null\n"
    "			while IFS= read -r line; do COMPREPLY+=(\"$line\"); done \\\n"
    "				< <(compgen -f -- \"${word#\"$cut\"}\")\n"
    "			;;\n"
    "		:folders)\n"
    "			compopt -o filenames 2>/dev/null\n"
    "			while IFS= read -r line; do COMPREPLY+=(\"$line\"); done \\\n"
    "				< <(compgen -d -- \"${word#\"$cut\"}\")\n"
    "			;;\n"
    "		*)\n"
    "			line=${line%%$'\\t'*}\n"
    "			[[ $line == *= ]] && compopt -o nospace 2>/dev/null\n"
    "			COMPREPLY+=(\"${line#\"$cut\"}\")\n"
    "			;;\n"
    "		esac\n"
    "	done < <(\"${COMP_WORDS[0]}\" completion candidates -- \"${words[@]}\" 2>/dev/null)\n"
    "}\n"
    "complete -o nosort -F _sluice sluice 2>/dev/null || complete -F _sluice sluice\n";

static const char zsh_script[] =
    "#compdef sluice\n"
    "# zsh completion of sluice: eval \"$(sluice completion zsh)\", or a file _sluice in $fpath\n"
    "_sluice()\n"
    "{\n"
    "	local line word\n"
    "	local -a found open\n"
    "	for line in ${(f)\"$($words[1] completion candidates -- \"${(@)words[2,CURRENT]}\" "
    "2>/dev/null)\"}; do\n"
    "		case $line in\n"
    "		(:files) _files ;;\n"
    "		(:folders) _files -/ ;;\n"
    "		(*)\n"
    "			word=${line%%$'\\t'*}\n"
    "			word=${word//:/\\\\:}\n"
    "			if [[ $word == *= ]]; then open+=(\"$word:${line#*$'\\t'}\")\n"
    "			else found+=(\"$word:${line#*$'\\t'}\"); fi\n"
    "			;;\n"
    "		esac\n"
    "	done\n"
    "	(($#found)) && _describe -V 'sluice' found\n"
    "	(($#open)) && _describe -V 'sluice' open -S ''\n"
    "	return 0\n"
    "}\n"
    "if [[ $funcstack[1] == _sluice ]]; then _sluice \"$@\"; else compdef _sluice sluice; fi\n";

static const char fish_script[] =
    "# fish completion of sluice: sluice completion fish | source\n"
    "function __sluice_complete\n"
    "	set -l words (commandline -opc) (commandline -ct)\n"
    "	for line in ($words[1] completion candidates -- $words[2..-1] 2>/dev/null)\n"
    "		switch $line\n"
    "		case :files\n"
    "			__fish_complete_path (commandline -ct)\n"
    "		case :folders\n"
    "			__fish_complete_directories (commandline -ct)\n"
    "		case '*'\n"
    "			echo $line\n"
    "		end\n"
    "	end\n"
    "end\n"
    "complete -c sluice -f -k -a '(__sluice_complete)'\n";

static const struct script {
	const char *shell;
	const char *text;
} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

static int candidates(const struct cli *cli)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;

	complete_put(&out, cli->options.words + 1, cli->options.words_count - 1);
	if (out.failed == ERR_OK)
		print_bytes(out.ptr, out.len);
	return CLI_OK;
}

static int run(struct cli *cli)
{
	const char *shell = cli->options.words[0];
	char text[160];

	if (strcmp(shell, "candidates") == 0)
		return candidates(cli);
	if (cli->options.words_count == 1) {
		for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
			if (strcmp(shell, scripts[i].shell) == 0) {
				print_out(scripts[i].text);
				return CLI_OK;
			}
		}
	}
	(void)snprintf(text, sizeof(text), "there is no completion for '%.80s'",
		       cli->options.words_count == 1 ? shell : cli->options.words[1]);
	return cli_usage(cli, text, "for bash, zsh and fish there is: sluice completion bash");
}

static const enum option completion_options[] = {OPT_END};

const struct cli_verb verb_completion = {
    .name = "completion",
    .usage = "bash|zsh|fish",
    .summary = "verbs, options, runs, steps and files for the Tab key",
    .help = "  sluice completion bash > ~/.local/share/bash-completion/completions/sluice\n"
	    "  eval \"$(sluice completion zsh)\"                          # in ~/.zshrc\n"
	    "  sluice completion fish > ~/.config/fish/completions/sluice.fish\n"
	    "\n"
	    "The scripts ask `sluice completion candidates -- WORD...`, which offers what may "
	    "stand in\n"
	    "the place of the last word, a line each: the word, a tab, its meaning.\n",
    .options = completion_options,
    .is_unset = true,
    .words_min = 1,
    .words_max = 1000,
    .run = run,
};
