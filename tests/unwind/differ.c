// SPDX-License-Identifier: Apache-2.0
/*
 * Real programs are stopped at random moments; the stack that our walker finds in the kernel must be the
 * one that elfutils' unwinder finds in the same registers and memory.
 */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/base/clock.h"
#include "../../user/base/log.h"
#include "../../user/base/parse.h"
#include "judge.h"
#include "program.h"
#include "sampler.h"
#include "tell.h"

#define REST_NS      4000000ULL /* a program runs up to this long between two samples */
#define IDLE_MAX     10         /* timeouts in a row after which a program is given up */
#define ATTACH_TRIES 100u
#define ATTACH_US    10000u
#define ENOUGH       10000u     /* samples from which 0.1 % is 0.1 %; of fewer a few may be shorter by chance */
#define BY_CHANCE    5u

struct options {
	uint64_t samples;   /* of all programs together */
	uint64_t seed;
	const char *only;   /* a program's name, or NULL */
	const char *here;   /* the scripts' folder */
	bool ranges;        /* interrupt where the kernel's list of mappings is closed to us */
	bool show;          /* print every stack that is not equal and complete */
};

static uint64_t random_state;

/* xorshift64*, Marsaglia and Vigna */
static uint64_t random_below(uint64_t limit)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1dULL >> 11) % limit;
}

/* --- comparing -------------------------------------------------------------------------------- */

/* Whether @pid runs what the program is about. */
static bool meant(const struct program *program, pid_t pid)
{
	char path[32], exe[PATH_MAX];
	ssize_t n;

	if (!*program->only)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n < 0)
		return false;
	exe[n] = '\0';
	return !strncmp(basename(exe), program->only, strlen(program->only));
}

/*
 * Mappings that a thread is changing itself, in a system call, are locked; a probe is never met so. With
 * @options->ranges they are as good as locked everywhere, and of code in no file nothing is known then.
 */
static void compare(struct sampler *sampler, const struct options *options, const struct program *program,
		    const struct sample *sample, const struct hb_stack *ours, struct result *result)
{
	static struct oracle_stack theirs;
	struct watched *watched;
	enum verdict verdict;
	size_t common;
	bool in_call;

	if (!meant(program, sample->pid)) {
		result->others++;
		return;
	}
	if (watched_get(sample->pid, &watched) ||
	    oracle_walk(watched->oracle, sample->tid, sample->registers, &theirs)) {
		result->unread++;
		return;
	}
	if (judge_probed(watched, &theirs)) {
		result->probed++;
		return;
	}
	in_call = watched_in_call(watched, registers_pc(sample->registers));
	verdict = judge(sampler_target(sampler), watched, ours, &theirs, program->jit, &common);
	if ((in_call || options->ranges) && ours->end == HB_END_BUSY) {
		result->locked++;
		return;
	}
	result->taken++;
	result->in_call += in_call;
	result->verdicts[verdict]++;
	result->ends[ours->end]++;
	result->frames += ours->count;
	result->above += ours->count - common;
	if ((verdict != VERDICT_EQUAL && verdict != VERDICT_GUESSED && verdict != VERDICT_PARTLY) ||
	    (options->show && (verdict != VERDICT_EQUAL || ours->end != HB_END_COMPLETE))) {
		printf("%s: ", program->name);
		tell_sample(sampler_target(sampler), watched, sample, verdict, ours, &theirs, common);
	}
}

/* Take @wanted samples of a program that runs. */
static void sample_all(struct sampler *sampler, const struct options *options, const struct program *program,
		       uint64_t wanted, struct result *result)
{
	static struct hb_stack stack;
	unsigned int idle = 0;

	while (result->taken < wanted && idle < IDLE_MAX) {
		struct sample sample;
		int err;

		sampler_rest(sampler, random_below(REST_NS));
		err = sampler_take(sampler, &sample, &stack);
		idle = err == -ETIMEDOUT ? idle + 1 : 0;
		if (err == -ESRCH)
			result->ended++;
		else if (err == -EAGAIN)
			result->moved++;
		if (err)
			continue;
		compare(sampler, options, program, &sample, &stack, result);
		sampler_go_on(sampler, &sample);
	}
}

/* A script's child may be met in the middle of its exec, when it maps no code. */
static int attach(struct target *target, pid_t pid)
{
	int err = target_attach(target, pid);

	for (unsigned int i = 0; err == -ENOEXEC && i < ATTACH_TRIES; i++) {
		usleep(ATTACH_US);
		err = target_attach(target, pid);
	}
	return err;
}

enum outcome { PASSED, FAILED, SKIPPED };

/*
 * A program: hardly any stack may be another one; one in a hundred may be shorter, and a few by chance. And
 * it is a comparison only if most stacks are compared to their end.
 */
static bool good(const struct result *result)
{
	return result->verdicts[VERDICT_DIFFERENT] * 1000 < result->taken &&
	       result_wrong(result) * 100 < result->taken + BY_CHANCE * 100 &&
	       result->verdicts[VERDICT_PARTLY] * 4 < result->taken + BY_CHANCE * 4;
}

static enum outcome run(struct sampler *sampler, const struct options *options, const char *name, uint64_t wanted,
			struct result *all)
{
	const uint64_t began_ns = clock_mono_ns();
	struct program program;
	struct result result = { 0 };
	int err = program_start(&program, options->here, name);

	for (size_t i = 0; !err && i < program.pids_count; i++)
		err = attach(sampler_target(sampler), program.pids[i]);
	if (!err && !*program.skip)
		sample_all(sampler, options, &program, wanted, &result);
	program_stop(&program);
	watched_free_all();
	sampler_rest(sampler, 1000000);
	result.seconds = (clock_mono_ns() - began_ns) / 1e9;
	if (err || *program.skip) {
		tell_skip(name, err ? strerror(-err) : program.skip);
		return err ? FAILED : SKIPPED;
	}
	tell_result(name, &result);
	result_add(all, &result);
	if (result.taken < wanted)
		printf("%s: %lu samples, %lu were wanted: it does not run\n", name, result.taken, wanted);
	return result.taken < wanted || !good(&result) ? FAILED : PASSED;
}

/* All programs together: less than 0.1 %, as far as that can be told from so many samples. */
static enum outcome judge_all(const struct result *all)
{
	const uint64_t by_chance = all->taken < ENOUGH ? BY_CHANCE : 0;

	tell_result("all", all);
	return result_wrong(all) * 1000 < all->taken + by_chance * 1000 ? PASSED : FAILED;
}

static int usage(void)
{
	fprintf(stderr, "usage: differ [--samples N] [--program NAME] [--seed N] [--ranges] [--show] [-v]\n");
	return 2;
}

static int read_options(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "samples", required_argument, NULL, 's' },
		{ "program", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 'r' },
		{ "ranges", no_argument, NULL, 'R' },
		{ "show", no_argument, NULL, 'S' },
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int option, err = 0;

	while (!err && (option = getopt_long(argc, argv, "v", known, NULL)) >= 0) {
		switch (option) {
		case 's':
			err = parse_u64(optarg, &options->samples);
			break;
		case 'r':
			err = parse_u64(optarg, &options->seed);
			break;
		case 'p':
			options->only = optarg;
			break;
		case 'R':
			options->ranges = true;
			break;
		case 'S':
			options->show = true;
			break;
		case 'v':
			log_set_level(log_level() + 1);
			break;
		default:
			err = -EINVAL;
		}
	}
	return err || optind != argc || !options->samples ? -EINVAL : 0;
}

/* The scripts lie beside us. */
static const char *own_folder(void)
{
	static char path[PATH_MAX], folder[PATH_MAX + 16];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		return "programs";
	path[n] = '\0';
	snprintf(folder, sizeof(folder), "%s/programs", dirname(path));
	return folder;
}

int main(int argc, char **argv)
{
	struct options options = { .samples = 10000, .seed = clock_unix_ns(), .here = own_folder() };
	struct result all = { 0 };
	unsigned int outcomes[3] = { 0 };
	struct sampler *sampler;
	char **names;
	int count, err;

	if (read_options(&options, argc, argv))
		return usage();
	random_state = options.seed | 1;
	count = program_names(options.here, &names);
	err = count > 0 ? sampler_new(&sampler, options.ranges) : -ENOENT;
	if (err == -EPERM || err == -EACCES || err == -EOPNOTSUPP) {
		printf("0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	if (err) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	printf("seed %lu\n", options.seed);
	for (int i = 0; i < count; i++) {
		uint64_t wanted = options.only ? options.samples : (options.samples + count - 1) / count;

		if (!options.only || !strcmp(options.only, names[i]))
			outcomes[run(sampler, &options, names[i], wanted, &all)]++;
		free(names[i]);
	}
	free(names);
	sampler_free(sampler);
	if (all.taken)
		outcomes[judge_all(&all)]++;
	printf("%u passed, %u failed, %u skipped\n", outcomes[PASSED], outcomes[FAILED], outcomes[SKIPPED]);
	return outcomes[FAILED] || !outcomes[PASSED];
}
