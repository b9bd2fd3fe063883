/* hang.c - an input that takes a processor for two seconds is a failure, however busy the machine
 * is.
 *
 * libFuzzer's -timeout counts the time on the wall, so it must be long. Here a timer of processor
 * time looks each second whether the same input is still being taken as the second before: one that
 * takes a second may be found, one that takes two is. Linked with --wrap=LLVMFuzzerTestOneInput. */
#include "fuzz.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

int __real_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned long taken; /* inputs so far */
static volatile unsigned long last;  /* as many as a second ago */
static volatile sig_atomic_t is_taking;

static void look(int number)
{
	static const char what[] = "an input takes the processor for more than a second\n";

	(void)number;
	if (is_taking && taken == last) {
		(void)!write(STDERR_FILENO, what, sizeof(what) - 1);
		abort(); /* libFuzzer keeps the input */
	}
	last = taken;
}

static void watch(void)
{
	struct sigaction action = {.sa_handler = look, .sa_flags = SA_RESTART};
	struct itimerval second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};

	BUG_IF(sigaction(SIGPROF, &action, NULL) != 0);
	BUG_IF(setitimer(ITIMER_PROF, &second, NULL) != 0);
}

int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int answer;

	if (taken++ == 0)
		watch();
	is_taking = 1;
	answer = __real_LLVMFuzzerTestOneInput(data, size);
	is_taking = 0;
	return answer;
}
