// SPDX-License-Identifier: Apache-2.0
/* Debug files from a server: a small one of the test's own, on this machine. */
#define _GNU_SOURCE 1
#include "folder.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../user/symbol/debugfile.h"
#include "../../user/symbol/fetch.h"
#include "../../user/symbol/symcache.h"

#define ID      "0123456789abcdef0123456789abcdef01234567"
#define UNKNOWN "00000000000000000000000000000000000000ff"

struct server {
	pid_t pid;
	int port;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What the library reads from the environment. */
static void environment(const char *urls)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cache", files_folder);
	assert_true(files_run("rm -rf cache"));
	setenv("DEBUGINFOD_CACHE_PATH", path, 1);
	setenv("DEBUGINFOD_URLS", urls, 1);
	unsetenv("DEBUGINFOD_MAXSIZE");
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("all_proxy");
}

static void need_library(void)
{
	if (dlopen("libdebuginfod.so.1", RTLD_NOW))
		return;
	print_message("skipped: %s\n", dlerror());
	skip();
}

/* python's own server on what is below srv/, at a port that it finds. */
static void server_start(struct server *server)
{
	char line[256] = "", urls[64];
	size_t length = 0;
	int out[2];

	need_library();
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	server->pid = fork();
	if (!server->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
		if (!chdir(files_folder))
			execl("/usr/bin/python3", "python3", "-u", "-m", "http.server", "--bind", "127.0.0.1",
			      "--directory", "srv", "0", NULL);
		_exit(1);
	}
	close(out[1]);
	while (length < sizeof(line) - 1 && !strchr(line, '\n') && read(out[0], line + length, 1) == 1)
		length++;
	close(out[0]);
	assert_int_equal(sscanf(line, "Serving HTTP on 127.0.0.1 port %d", &server->port), 1);
	snprintf(urls, sizeof(urls), "http://127.0.0.1:%d", server->port);
	environment(urls);
}

static void server_stop(const struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
}

/* prog is stripped of hidden(), which its debug file on the server has, as @id. */
static void build(const char *id)
{
	assert_true(files_run("rm -rf srv && mkdir -p srv/buildid/" ID));
	files_write("prog.c", "static __attribute__((noinline)) int hidden(int x) {\n"
			      "	__asm__ volatile(\"\");\n	return x + 1; }\n"
			      "int main(int argc, char **argv) { (void)argv; return hidden(argc); }\n");
	assert_true(files_run("gcc -g -O0 -Wl,--build-id=0x" ID " -o whole \"$PWD\"/prog.c && strip -o prog whole && "
			      "gcc -g -O0 -Wl,--build-id=0x%s -o served \"$PWD\"/prog.c && "
			      "objcopy --only-keep-debug served srv/buildid/" ID "/debuginfo", id));
}

static struct elf_file *open_whole(void)
{
	struct elf_file *file;
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/whole", files_folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(elffile_open(&file, fd), 0);
	close(fd);
	assert_int_equal(elffile_index(file), 0);
	return file;
}

static struct elf_file *add_prog(struct symcache *cache)
{
	struct elf_file *file;
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/prog", files_folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(symcache_add(cache, fd, NULL, -1, &file), 0);
	close(fd);
	return file;
}

static uint64_t hidden_vaddr(void)
{
	struct elf_file *whole = open_whole();
	uint64_t vaddr = elffile_symbol(whole, "hidden")->vaddr;

	elffile_free(whole);
	return vaddr;
}

static void nothing_is_asked_where_no_server_is_named(void **state)
{
	struct symcache *cache = symcache_new();
	struct fetcher *fetcher;

	(void)state;
	environment(" ");
	assert_int_equal(fetcher_start(&fetcher), -ENOENT);
	assert_int_equal(debugfile_fetch(ID), -ENOENT);
	assert_int_equal(symcache_fetch(cache), -ENOENT);
	unsetenv("DEBUGINFOD_URLS");
	assert_int_equal(fetcher_start(&fetcher), -ENOENT);
	assert_true(symcache_fetches_wait(cache, 0));
	symcache_free(cache);
}

static void a_server_is_asked_for_what_is_wanted_and_answers_once(void **state)
{
	struct fetcher *fetcher;
	struct server server;
	int fd;

	(void)state;
	build(ID);
	server_start(&server);
	assert_int_equal(fetcher_start(&fetcher), 0);
	assert_true(fetcher_wait(fetcher, 0));
	assert_true(fetcher_ask(fetcher, ID));
	assert_true(fetcher_ask(fetcher, UNKNOWN));
	assert_true(fetcher_ask(fetcher, ID));
	assert_true(fetcher_wait(fetcher, 30000));
	fd = fetcher_take(fetcher, ID);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(fetcher_take(fetcher, ID), -ENOENT);
	assert_int_equal(fetcher_take(fetcher, UNKNOWN), -ENOENT);
	assert_int_equal(fetcher_take(fetcher, "abcd"), -ENOENT); /* never asked for */
	fetcher_stop(fetcher);
	fd = debugfile_fetch(ID);
	assert_true(fd >= 0);
	close(fd);
	server_stop(&server);
}

static void frames_named_after_a_debug_file_came_have_what_it_knows(void **state)
{
	struct symcache *cache = symcache_new();
	struct frame before, after;
	struct elf_file *file;
	struct server server;
	char path[256];
	uint64_t vaddr;

	(void)state;
	build(ID);
	vaddr = hidden_vaddr();
	server_start(&server);
	assert_int_equal(symcache_fetch(cache), 0);
	assert_int_equal(symcache_fetch(cache), 0);
	file = add_prog(cache);
	assert_int_equal(symcache_frames_at(cache, file, "/prog", vaddr, true, &before, 1), 1);
	assert_null(before.function);
	assert_null(before.file);
	assert_true(symcache_fetches_wait(cache, 30000));
	server_stop(&server);
	assert_int_equal(symcache_frames_at(cache, file, "/prog", vaddr, true, &after, 1), 1);
	assert_string_equal(after.function, "hidden");
	snprintf(path, sizeof(path), "%s/prog.c", files_folder);
	assert_string_equal(after.file, path);
	assert_int_equal(after.line, 1);
	symcache_free(cache);
}

static void a_file_of_another_build_id_is_not_believed(void **state)
{
	struct symcache *cache = symcache_new();
	struct elf_file *file;
	struct server server;
	struct frame frame;
	uint64_t vaddr;

	(void)state;
	build(UNKNOWN);
	vaddr = hidden_vaddr();
	server_start(&server);
	assert_int_equal(symcache_fetch(cache), 0);
	file = add_prog(cache);
	symcache_frames_at(cache, file, "/prog", vaddr, true, &frame, 1);
	assert_true(symcache_fetches_wait(cache, 30000));
	server_stop(&server);
	symcache_frames_at(cache, file, "/prog", vaddr, true, &frame, 1);
	assert_null(frame.function);
	symcache_free(cache);
}

static void a_file_larger_than_the_cap_is_not_taken(void **state)
{
	struct server server;

	(void)state;
	build(ID);
	assert_true(files_run("truncate -s 5G srv/buildid/" ID "/debuginfo"));
	server_start(&server);
	assert_int_equal(debugfile_fetch(ID), -EFBIG);
	server_stop(&server);
	assert_true(files_run("rm -rf srv cache"));
}

/* A port where one is let in and never answered; *@fd keeps it. */
static void silent_server(int *fd)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	char urls[64];

	need_library();
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &length), 0);
	snprintf(urls, sizeof(urls), "http://127.0.0.1:%d", ntohs(address.sin_port));
	environment(urls);
}

static void a_silent_server_keeps_nobody_waiting(void **state)
{
	struct symcache *cache = symcache_new();
	struct elf_file *file;
	struct frame frame;
	uint64_t began;
	int fd;

	(void)state;
	build(ID);
	silent_server(&fd);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(symcache_fetch(cache), 0);
	file = add_prog(cache);
	began = now_ms();
	symcache_frames_at(cache, file, "/prog", hidden_vaddr(), true, &frame, 1);
	assert_false(symcache_fetches_wait(cache, 50));
	symcache_frames_at(cache, file, "/prog", hidden_vaddr(), true, &frame, 1);
	assert_null(frame.function);
	assert_true(now_ms() - began < 2000);
	began = now_ms();
	symcache_free(cache);
	assert_true(now_ms() - began < 10000); /* the library says about once a second that it goes on */
	close(fd);
}

static void servers_that_fail_three_times_are_not_asked_again(void **state)
{
	static const char *const ids[] = { "01aa", "02aa", "03aa", "04aa", "05aa" };
	struct fetcher *fetcher;
	size_t i;
	int fd;

	(void)state;
	silent_server(&fd); /* nobody listens: refused */
	assert_int_equal(fetcher_start(&fetcher), 0);
	for (i = 0; i < 5; i++)
		assert_true(fetcher_ask(fetcher, ids[i]));
	assert_true(fetcher_wait(fetcher, 30000));
	for (i = 0; i < 3; i++) {
		assert_int_not_equal(fetcher_take(fetcher, ids[i]), -ENOENT);
		assert_true(fetcher_take(fetcher, ids[i]) < 0);
	}
	assert_int_equal(fetcher_take(fetcher, ids[3]), -ENOENT);
	assert_int_equal(fetcher_take(fetcher, ids[4]), -ENOENT);
	fetcher_stop(fetcher);
	close(fd);
}

static void too_many_questions_are_refused(void **state)
{
	struct fetcher *fetcher;
	char id[16];
	size_t i;
	int fd;

	(void)state;
	silent_server(&fd);
	assert_int_equal(fetcher_start(&fetcher), 0);
	for (i = 0; i < FETCH_ASK_MAX; i++) {
		snprintf(id, sizeof(id), "%08zx", i);
		assert_true(fetcher_ask(fetcher, id));
	}
	assert_false(fetcher_ask(fetcher, "ffffffff"));
	assert_true(fetcher_ask(fetcher, "00000000"));
	assert_int_equal(fetcher_take(fetcher, "ffffffff"), -ENOENT);
	fetcher_stop(fetcher);
	fetcher_stop(NULL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_asked_where_no_server_is_named),
		cmocka_unit_test(a_server_is_asked_for_what_is_wanted_and_answers_once),
		cmocka_unit_test(frames_named_after_a_debug_file_came_have_what_it_knows),
		cmocka_unit_test(a_file_of_another_build_id_is_not_believed),
		cmocka_unit_test(a_file_larger_than_the_cap_is_not_taken),
		cmocka_unit_test(a_silent_server_keeps_nobody_waiting),
		cmocka_unit_test(servers_that_fail_three_times_are_not_asked_again),
		cmocka_unit_test(too_many_questions_are_refused),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
