/* observe.c - who watches a run: its events, and the passing of time. */
#include "api/run_intern.h"

#include "base/timefmt.h"

static void on_line(void *arg, struct str line)
{
	const struct sluice_run *run = arg;

	for (size_t i = 0; i < run->observers_count; i++) {
		const struct sluice_observer *observer = &run->observers[i].observer;

		if (observer->on_event)
			observer->on_event(observer->arg, line.ptr, line.len);
	}
}

static bool hears_events(const struct sluice_run *run)
{
	for (size_t i = 0; i < run->observers_count; i++) {
		if (run->observers[i].observer.on_event)
			return true;
	}
	return false;
}

struct engine_observer run_observer(struct sluice_run *run)
{
	return (struct engine_observer){
	    .on_line = hears_events(run) ? on_line : NULL,
	    .arg = run,
	};
}

enum err_code run_observers_add(struct sluice_run *run, const struct sluice_observer *observer,
				struct err *err)
{
	struct run_observer one = {.observer = *observer};
	void *list = run->observers;

	if (!observer->on_event && !observer->on_tick)
		return ERR_OK;
	if (mem_grow(&list, &run->observers_capacity, run->observers_count + 1, sizeof(one), err) !=
	    ERR_OK)
		return err->code;
	run->observers = list;
	run->observers[run->observers_count++] = one;
	return ERR_OK;
}

enum sluice_code sluice_observer_add(struct sluice_run *run, const struct sluice_observer *observer,
				     struct sluice_error *err)
{
	struct err own = ERR_INIT;

	if (!run || !observer)
		return api_usage(err, "sluice_observer_add needs a run and an observer");
	if (!observer->on_event && !observer->on_tick)
		return api_usage(err, "an observer without on_event and on_tick sees nothing");
	if (run_observers_add(run, observer, &own) != ERR_OK)
		return api_err(err, &own);
	engine_observe(run->engine, run_observer(run));
	return SLUICE_OK;
}

/* ------------------------------------------------------------------------------------ ticks */

int64_t run_tick_ns(const struct sluice_run *run)
{
	int64_t least_ns = -1;

	for (size_t i = 0; i < run->observers_count; i++) {
		const struct sluice_observer *observer = &run->observers[i].observer;
		int64_t ns = observer->tick_ms * NS_PER_MS;

		if (observer->on_tick && (least_ns < 0 || ns < least_ns))
			least_ns = ns;
	}
	return least_ns;
}

/* Those whose time has come; who set the pace always: the clock may be the host's. */
void run_tick(void *arg)
{
	struct sluice_run *run = arg;
	int64_t now_ns = clock_boot_ns(run->sluice->clock);
	int64_t least_ns = run_tick_ns(run);

	for (size_t i = 0; i < run->observers_count; i++) {
		struct run_observer *one = &run->observers[i];
		int64_t ns = one->observer.tick_ms * NS_PER_MS;

		if (!one->observer.on_tick || (ns > least_ns && now_ns < one->due_ns))
			continue;
		one->due_ns = now_ns + ns;
		one->observer.on_tick(one->observer.arg);
	}
}
