// SPDX-License-Identifier: Apache-2.0
// Throws for ever, in three threads, through frames of every kind, while a timer's handler interrupts.
#include <alloca.h>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/time.h>
#include <thread>
#include <ucontext.h>
#include <vector>

namespace {

#define FRAME __attribute__((noinline, noclone))

thread_local unsigned long chance_state = 88172645463325252UL;
volatile unsigned long sink;

unsigned int chance(unsigned int limit)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return chance_state % limit;
}

FRAME void spin(unsigned int turns)
{
	for (unsigned int i = 0; i < turns; i++)
		sink = sink * 31 + i;
}

struct guard {
	std::string text;
	explicit guard(unsigned int n) : text(n % 40 + 20, 'g') {}
	FRAME ~guard()
	{
		spin(text.size());
	}
};

struct deeper : std::runtime_error {
	int depth;
	explicit deeper(int d) : std::runtime_error(std::to_string(d)), depth(d) {}
};

void any(unsigned int depth);

FRAME void plain(unsigned int depth)
{
	guard here(depth);

	any(depth);
	spin(3);
}

/* The stack is realigned: the canonical frame address goes through a saved register. */
FRAME void realigned(unsigned int depth)
{
	alignas(64) volatile char wide[128];
	volatile char *varying = static_cast<volatile char *>(alloca(chance(200) + 16));

	wide[depth] = varying[0] = 1;
	any(depth);
	spin(wide[depth]);
}

FRAME void large(unsigned int depth)
{
	volatile char room[20000];

	room[chance(sizeof(room))] = 1;
	any(depth);
	spin(room[0] & 1);
}

FRAME void rethrows(unsigned int depth)
{
	try {
		any(depth);
	} catch (const deeper &) {
		spin(5);
		throw;
	}
	spin(2);
}

FRAME void translates(unsigned int depth)
{
	try {
		any(depth);
	} catch (int value) {
		throw deeper(value);
	}
	spin(2);
}

int compare(const void *a, const void *b)
{
	spin(2);
	return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

FRAME void sorts(unsigned int depth)
{
	std::vector<int> numbers(30 + depth);

	for (int &number : numbers)
		number = chance(1000);
	qsort(numbers.data(), numbers.size(), sizeof(int), compare);
	any(depth);
	spin(numbers[0] & 3);
}

/* No frame of its own is left behind. */
FRAME void jumps(unsigned int depth)
{
	spin(1);
	return any(depth);
}

struct shape {
	virtual ~shape() = default;
	virtual void draw(unsigned int depth) = 0;
};

struct square : shape {
	FRAME void draw(unsigned int depth) override
	{
		auto more = [depth] { any(depth); spin(1); };

		more();
	}
};

FRAME void by_pointer(unsigned int depth)
{
	std::unique_ptr<shape> one(new square);

	one->draw(depth);
	spin(1);
}

FRAME void any(unsigned int depth)
{
	static void (*const kinds[])(unsigned int) = {
		plain, large, rethrows, translates, sorts, jumps, by_pointer,
	};

	spin(chance(20));
	if (depth) {
		/* As rare as in programs: in its first instructions a third register leads to its caller. */
		if (chance(40) == 0)
			realigned(depth - 1);
		else
			kinds[chance(sizeof(kinds) / sizeof(kinds[0]))](depth - 1);
		spin(1);
		return;
	}
	if (chance(3) == 0)
		throw static_cast<int>(chance(100));
	if (chance(3) == 0)
		throw deeper(chance(100));
	spin(10);
}

FRAME void one_round()
{
	try {
		any(chance(25));
	} catch (const std::exception &error) {
		spin(std::strlen(error.what()));
	} catch (int value) {
		spin(value % 7);
	}
}

/* --- on a stack of its own --- */

struct other_stack {
	ucontext_t here, there;
	std::vector<char> room;
};

thread_local other_stack *current;

void on_other_stack()
{
	one_round();
}

FRAME void switched()
{
	other_stack stack;

	stack.room.resize(512 << 10);
	getcontext(&stack.there);
	stack.there.uc_stack.ss_sp = stack.room.data();
	stack.there.uc_stack.ss_size = stack.room.size();
	stack.there.uc_link = &stack.here;
	makecontext(&stack.there, on_other_stack, 0);
	current = &stack;
	swapcontext(&stack.here, &stack.there);
	current = nullptr;
}

/* --- interrupted --- */

void on_tick(int)
{
	volatile char room[256];

	room[0] = 1;
	spin(2000 + room[0]);
	std::vector<int> unused(0);
	try {
		any(4);
	} catch (...) {
		spin(5);
	}
}

/*
 * A handler that allocates could meet the allocator's lock held by its own thread: the tick is let in
 * only where nothing is allocated.
 */
FRAME void interruptible()
{
	volatile char *varying = static_cast<volatile char *>(alloca(chance(200) + 16)); /* kept by a frame pointer */
	sigset_t tick;

	varying[0] = 1;
	sigemptyset(&tick);
	sigaddset(&tick, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &tick, nullptr);
	spin(12000);
	pthread_sigmask(SIG_BLOCK, &tick, nullptr);
}

void work(unsigned long seed)
{
	stack_t alternate = {};

	chance_state += seed * 2654435761UL;
	alternate.ss_size = 256 << 10;
	alternate.ss_sp = std::malloc(alternate.ss_size);
	if (seed % 2)
		sigaltstack(&alternate, nullptr);
	for (;;) {
		one_round();
		if (chance(50) == 0)
			switched();
		if (chance(5) == 0)
			interruptible();
	}
}

}

int main()
{
	struct sigaction action = {};
	itimerval often = { { 0, 700 }, { 0, 700 } };
	sigset_t tick;

	action.sa_handler = on_tick;
	action.sa_flags = SA_ONSTACK | SA_RESTART;
	sigaction(SIGALRM, &action, nullptr);
	sigemptyset(&tick);
	sigaddset(&tick, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &tick, nullptr);
	setitimer(ITIMER_REAL, &often, nullptr);
	std::thread(work, 1).detach();
	std::thread(work, 2).detach();
	work(3);
}
