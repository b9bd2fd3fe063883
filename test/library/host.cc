/* host.cc - the smallest host in C++17 */
#include <sluice/sluice.h>

#include <cstdio>

int main()
{
	sluice_error err{};
	sluice *handle = nullptr;
	sluice_run *run = nullptr;
	sluice_end end{};
	static const char *const argv[] = {"sh", "-c", "exit 0", nullptr};
	sluice_pipeline *pipeline = sluice_pipeline_new("hosted");
	sluice_step_def check{};
	sluice_step_def work{};
	sluice_run_opts options{};

	check.id = "check";
	check.noop = true;
	check.gate = SLUICE_GATE_HARD;
	work.id = "work";
	work.argv = argv;
	options.run_id = "hosted_1";
	sluice_pipeline_step(pipeline, &check, &err);
	sluice_pipeline_step(pipeline, &work, &err);
	if (sluice_open(nullptr, &handle, &err) || sluice_run_start(handle, pipeline, &options, &run, &err)) {
		std::fprintf(stderr, "%s\n", err.text);
		sluice_pipeline_free(pipeline);
		sluice_close(handle);
		return sluice_exit_status(err.code);
	}
	sluice_run_state state = sluice_run_wait(run, &err);
	sluice_run_end(run, &end);
	std::printf("%s %s, state %d\n", sluice_run_id(run), end.outcome, static_cast<int>(state));
	sluice_run_free(run);
	sluice_pipeline_free(pipeline);
	sluice_close(handle);
	return end.exit_status;
}
