/* main.c - sluice-sim: the engine, the keeper's machine and its client in a virtual world, one
 * scenario a seed, until a rule is broken.
 *
 *   sluice-sim [--seeds N] [--from S] [--minutes M] [--hash]
 *   sluice-sim --seed S [--trace] */
#include "sim/sim_scenario.h"

#include "base/str.h"
#include "base/timefmt.h"
#include "sys/clock.h"

#include <stdio.h>
#include <string.h>

struct options {
	uint64_t seeds;
	uint64_t from;
	uint64_t minutes; /* 0 = no end */
	bool is_single;
	bool is_traced;
	bool has_hash; /* tell what all logs and their states come to */
};

struct totals {
	uint64_t scenarios, compared, lives, crashes, keeper_kills, power_cuts, faults, execs,
	    undos, changes, parts, agains, taken, ticks;
	int64_t virtual_ns;
	struct sha256 hash;
};

static int usage(void)
{
	(void)fprintf(stderr, "usage: sluice-sim [--seeds N] [--from S] [--minutes M] [--hash]\n"
			      "       sluice-sim --seed S [--trace]\n");
	return 2;
}

static bool read_options(int argc, char **argv, struct options *options)
{
	for (int i = 1; i < argc; i++) {
		uint64_t *number = NULL;

		if (strcmp(argv[i], "--trace") == 0) {
			options->is_traced = true;
			continue;
		}
		if (strcmp(argv[i], "--hash") == 0) {
			options->has_hash = true;
			continue;
		}
		if (strcmp(argv[i], "--seeds") == 0)
			number = &options->seeds;
		else if (strcmp(argv[i], "--minutes") == 0)
			number = &options->minutes;
		else if (strcmp(argv[i], "--from") == 0 || strcmp(argv[i], "--seed") == 0)
			number = &options->from;
		if (!number || i + 1 == argc || !str_to_u64(str_of(argv[i + 1]), number))
			return false;
		options->is_single = options->is_single || strcmp(argv[i], "--seed") == 0;
		i++;
	}
	if (options->is_single)
		options->seeds = 1;
	else if (options->minutes && !options->seeds)
		options->seeds = UINT64_MAX;
	else if (!options->seeds)
		options->seeds = 1000;
	return true;
}

static void add(struct totals *totals, const struct sim_result *result)
{
	totals->scenarios++;
	totals->compared += result->is_compared;
	totals->lives += result->lives;
	totals->crashes += result->crashes;
	totals->keeper_kills += result->keeper_kills;
	totals->power_cuts += result->power_cuts;
	totals->faults += result->faults;
	totals->execs += result->execs;
	totals->undos += result->undos;
	totals->changes += result->changes;
	totals->parts += result->parts;
	totals->agains += result->agains;
	totals->taken += result->taken;
	totals->ticks += result->ticks;
	totals->virtual_ns += result->virtual_ns;
	sha256_add(&totals->hash, result->hash, sizeof(result->hash));
}

static double seconds_since(int64_t start_ns)
{
	return (double)(clock_boot_ns(&clock_os) - start_ns) / (double)NS_PER_S;
}

static void print_totals(const struct totals *totals, double seconds)
{
	(void)printf(
	    "%llu scenarios in %.1f s (%.0f a second), %llu compared with a run without accidents\n"
	    "%llu engines, %llu crashes, %llu keepers killed, %llu power cuts, %llu disk faults\n"
	    "%llu runs of a part, %llu definitions changed, %llu second runs, %llu successes taken "
	    "from the first\n"
	    "%llu commands and %llu compensations executed, %llu ticks, %.1f days of virtual "
	    "time\n",
	    (unsigned long long)totals->scenarios, seconds,
	    (double)totals->scenarios / (seconds > 0 ? seconds : 1),
	    (unsigned long long)totals->compared, (unsigned long long)totals->lives,
	    (unsigned long long)totals->crashes, (unsigned long long)totals->keeper_kills,
	    (unsigned long long)totals->power_cuts, (unsigned long long)totals->faults,
	    (unsigned long long)totals->parts, (unsigned long long)totals->changes,
	    (unsigned long long)totals->agains, (unsigned long long)totals->taken,
	    (unsigned long long)totals->execs, (unsigned long long)totals->undos,
	    (unsigned long long)totals->ticks,
	    (double)totals->virtual_ns / (double)(86400 * NS_PER_S));
}

static void print_hash(struct totals *totals)
{
	uint8_t digest[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES + 1];

	sha256_end(&totals->hash, digest);
	sha256_hex(digest, hex);
	(void)printf("hash %s\n", hex);
}

int main(int argc, char **argv)
{
	struct options options = {.seeds = 0};
	struct totals totals = {.scenarios = 0};
	int64_t start_ns = clock_boot_ns(&clock_os);

	if (!read_options(argc, argv, &options))
		return usage();
	sha256_start(&totals.hash);
	for (uint64_t n = 0; n < options.seeds; n++) {
		uint64_t seed = options.from + n;
		struct sim_result result = {.has_failed = false};

		sim_scenario_run(seed, options.is_traced, &result);
		add(&totals, &result);
		if (result.has_failed) {
			(void)printf(
			    "FAILED seed %llu: %s\nreplay: sluice-sim --seed %llu --trace\n",
			    (unsigned long long)seed, result.failure, (unsigned long long)seed);
			print_totals(&totals, seconds_since(start_ns));
			return 1;
		}
		if (totals.scenarios % 1000 == 0) {
			(void)printf("seed %llu: all rules hold (%.0f s)\n",
				     (unsigned long long)seed, seconds_since(start_ns));
			(void)fflush(stdout);
		}
		if (options.minutes && seconds_since(start_ns) > 60.0 * (double)options.minutes)
			break;
	}
	print_totals(&totals, seconds_since(start_ns));
	if (options.has_hash)
		print_hash(&totals);
	return 0;
}
