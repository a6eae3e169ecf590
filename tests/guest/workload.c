// SPDX-License-Identifier: Apache-2.0
/*
 * Workloads whose cost the kernel itself tells. A supervisor, which stays where it was started,
 * puts a task into a cgroup, lets it work and, when all of it has ended, appends to the report
 *
 *	CGROUP_DIR RUN_NS WAIT_NS SLICES VOLUNTARY PREEMPTED
 *
 * in one line or several, to be summed: what /proc/PID/schedstat and getrusage() said as late as
 * they could be asked. A process is read as a zombie, when nothing can be added any more; a thread
 * leaves no zombie and reads its own numbers last of all. Of a task that was put into its cgroup by
 * a write, what it had used before is reported with a minus.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS	  1000000LL
#define SEC	  1000000000LL
#define MAX_TASKS 4096
#define MAX_LINE  1024

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

/* The kernel's struct clone_args up to `cgroup`; <linux/sched.h> and <sched.h> do not mix. */
struct clone_into {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal;
	uint64_t stack, stack_size, tls, set_tid, set_tid_size;
	uint64_t cgroup;
};

struct used {
	long long run, wait, slices, voluntary, preempted;
};

struct options {
	const char *dir;    /* the cgroup to work in; NULL: stay */
	const char *list;   /* file with one cgroup a line, a task for each */
	const char *other;  /* a second cgroup, to be moved to and fro */
	const char *report; /* file to append to */
	bool by_write;	    /* enter through cgroup.procs, not by clone3() */
	int move_ms;	    /* mean time between two moves */
	int cpu;	    /* stay on this CPU; -1: on any */
	int fifo;	    /* SCHED_FIFO priority; 0: none */
	int threads;
	double seconds;
	const char *arg; /* of the kind of work: a socket's name, a length in microseconds */
};

struct kind {
	const char *name;
	void (*run)(const struct options *opt);
	const char *help;
};

static struct options options = {.cpu = -1, .threads = 1, .move_ms = 30};
static const char *my_dir = "-"; /* what this task's lines in the report begin with */
static int report_fd = -1; /* open from the start: a late open() would cost what is not told */
static int64_t deadline;
static __thread unsigned int seed;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	fputs("workload: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(errno));
	_exit(1);
}

static int64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static void sleep_ns(int64_t ns)
{
	struct timespec ts = {.tv_sec = ns / SEC, .tv_nsec = ns % SEC};

	nanosleep(&ts, NULL);
}

/* Between half of `mean` and three halves. */
static int64_t around(int64_t mean)
{
	return mean / 2 + mean * (rand_r(&seed) % 1024) / 1024;
}

static bool over(void)
{
	return now(CLOCK_MONOTONIC) >= deadline;
}

static void burn_until(clockid_t clock, int64_t end)
{
	while (now(clock) < end)
		for (volatile int i = 0; i < 2000; i++)
			;
}

/* Uses that much CPU time. */
static void burn(int64_t ns)
{
	burn_until(CLOCK_THREAD_CPUTIME_ID, now(CLOCK_THREAD_CPUTIME_ID) + ns);
}

/* The report. */

static void read_schedstat(const char *path, struct used *used)
{
	char text[128];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (len < 0)
		die("%s", path);
	close(fd);
	text[len] = '\0';
	if (sscanf(text, "%lld %lld %lld", &used->run, &used->wait, &used->slices) != 3)
		die("%s: '%s'", path, text);
}

static void add_rusage(const struct rusage *ru, struct used *used)
{
	used->voluntary += ru->ru_nvcsw;
	used->preempted += ru->ru_nivcsw;
}

/* One write() per line, so that lines of many tasks do not mix. */
static void report(const char *dir, const struct used *used)
{
	char line[MAX_LINE];
	int len;

	if (report_fd < 0)
		return;
	len = snprintf(line, sizeof(line), "%s %lld %lld %lld %lld %lld\n", dir, used->run,
		       used->wait, used->slices, used->voluntary, used->preempted);
	if (write(report_fd, line, len) != len)
		die("report");
}

/* Until next to nothing runs on this machine, or a few seconds have passed. */
static void wait_for_quiet(void)
{
	char text[128];
	int running = 99;

	for (int i = 0; i < 60 && running > 2; i++) {
		int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
		ssize_t len;

		sleep_ns(around(100 * MS));
		len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (len < 0)
			die("/proc/loadavg");
		close(fd);
		text[len] = '\0';
		sscanf(text, "%*s %*s %*s %d/", &running);
	}
}

/*
 * The last act of a thread. Its switches are in what the process is told when it is reaped, all but
 * the one with which it goes. Before that it lets the rush at the common end pass: else it could
 * wait for a CPU after it has read how long it waited.
 */
static void report_thread(void)
{
	struct used used = {0};

	wait_for_quiet();
	read_schedstat("/proc/thread-self/schedstat", &used);
	used.voluntary = 1;
	report(my_dir, &used);
	syscall(SYS_exit, 0); /* pthread_exit() would do more, and nobody would be told */
}

/*
 * Until the task is a zombie that has left its CPU for good: it may well be preempted on the way.
 * Its stack goes with the last switch, and /proc/PID/syscall begins with -1 when there is none.
 */
static void wait_for_zombie(pid_t pid)
{
	char path[64], text[128] = "";
	siginfo_t info;

	if (waitid(P_PID, pid, &info, WEXITED | WNOWAIT))
		die("waitid");
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	while (strncmp(text, "-1 ", 3)) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t len;

		if (text[0])
			sleep_ns(MS);
		len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (len < 0)
			die("%s", path);
		close(fd);
		text[len] = '\0';
	}
}

static void read_zombie(pid_t pid, struct used *used)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	read_schedstat(path, used);
}

/* Ends the zombie; with its switches, those of its threads and of the children it reaped. */
static void reap(pid_t pid, struct used *used)
{
	struct rusage ru;
	int status;

	if (wait4(pid, &status, 0, &ru) != pid)
		die("wait4");
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		errno = ECHILD;
		die("task %d ended with %#x", pid, status);
	}
	add_rusage(&ru, used);
}

/* The kinds of work. Each goes on until the deadline. */

static void run_burn(const struct options *opt)
{
	(void)opt;
	burn_until(CLOCK_MONOTONIC, deadline);
}

static void run_sleep(const struct options *opt)
{
	(void)opt;
	while (!over())
		sleep_ns(around(20 * MS));
}

/* Works and sleeps, for the mean of `arg` microseconds each. */
static void run_burst(const struct options *opt)
{
	int64_t mean = opt->arg ? atoll(opt->arg) * 1000 : 10 * MS;

	while (!over()) {
		burn(around(mean));
		sleep_ns(around(mean));
	}
}

/* A millisecond of work now and then; many of these make many cgroups active. */
static void run_tick(const struct options *opt)
{
	int64_t mean = opt->arg ? atoll(opt->arg) * 1000 : MS;

	while (!over()) {
		burn(around(mean));
		sleep_ns(around(SEC));
	}
}

static void run_yield(const struct options *opt)
{
	(void)opt;
	while (!over()) {
		burn(MS / 4);
		sched_yield();
	}
}

/* Whether that CPU is there to stay on. */
static bool stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static void pin(int cpu)
{
	if (!stay_on(cpu))
		die("CPU %d", cpu);
}

/* From CPU to CPU, in the middle of a slice. */
static void run_migrate(const struct options *opt)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);

	(void)opt;
	for (int i = rand_r(&seed) % cpus; !over(); i++) {
		stay_on(i % cpus); /* unless it has gone offline */
		burn(around(5 * MS));
	}
}

/*
 * Batches of children that do a little and exit. They are zombies until their numbers are read;
 * their switches are reported by whoever reaps this task.
 */
static void run_storm(const struct options *opt)
{
	struct used all = {0};
	int64_t mean = opt->arg ? atoll(opt->arg) * 1000 : MS / 2;
	pid_t pids[8];

	while (!over()) {
		for (int i = 0; i < 8; i++) {
			pids[i] = fork();
			if (pids[i] < 0)
				die("fork");
			seed += i;
			if (pids[i])
				continue;
			burn(around(mean));
			_exit(0);
		}
		for (int i = 0; i < 8; i++) {
			struct used one = {0};

			wait_for_zombie(pids[i]);
			read_zombie(pids[i], &one);
			reap(pids[i], &one);
			all.run += one.run;
			all.wait += one.wait;
			all.slices += one.slices;
		}
	}
	report(my_dir, &all);
}

static socklen_t address_of(const char *name, struct sockaddr_un *address)
{
	/* An abstract name, first byte NUL: nothing to remove afterwards. */
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "workload-%s",
		 name ? name : "0");
	return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address->sun_path + 1);
}

/* Answers each request on one connection, with a little work. */
static void run_serve(const struct options *opt)
{
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct pollfd peer = {.fd = listener, .events = POLLIN};
	struct sockaddr_un address;
	socklen_t len = address_of(opt->arg, &address);
	int64_t request;

	if (listener < 0 || bind(listener, (void *)&address, len) || listen(listener, 4))
		die("serve");
	while (!over()) {
		if (poll(&peer, 1, 50) <= 0)
			continue;
		if (peer.fd == listener) {
			peer.fd = accept(listener, NULL, NULL);
			if (peer.fd < 0)
				die("accept");
		} else if (read(peer.fd, &request, sizeof(request)) == sizeof(request)) {
			burn(around(request));
			if (send(peer.fd, &request, sizeof(request), MSG_NOSIGNAL) < 0)
				peer.events = 0;
		} else {
			peer.events = 0; /* the client is gone: only the time is waited for */
		}
	}
}

static void run_ask(const struct options *opt)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_usec = 50000};
	struct sockaddr_un address;
	socklen_t len = address_of(opt->arg, &address);
	int64_t request = MS;

	while (connect(fd, (void *)&address, len) && !over())
		sleep_ns(20 * MS);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while (!over()) {
		send(fd, &request, sizeof(request), MSG_NOSIGNAL);
		if (read(fd, &request, sizeof(request)) == 0)
			request = MS;
		sleep_ns(around(3 * MS));
	}
}

static const struct kind kinds[] = {
	{"burn", run_burn, "use all CPU there is"},
	{"sleep", run_sleep, "wake up and sleep again"},
	{"burst", run_burst, "[US]: work and sleep in turn, US each"},
	{"tick", run_tick, "[US]: work for US, once a second"},
	{"yield", run_yield, "give way four times a millisecond"},
	{"migrate", run_migrate, "go from CPU to CPU"},
	{"storm", run_storm, "[US]: children that work for US and exit, eight at a time"},
	{"serve", run_serve, "[NAME]: answer requests"},
	{"ask", run_ask, "[NAME]: send requests"},
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct kind *kind_of_work;

/* Starting and ending tasks. */

static void write_pid(const char *dir, pid_t pid)
{
	char path[MAX_LINE];
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	file = fopen(path, "we");
	if (!file)
		die("%s", path);
	fprintf(file, "%d\n", pid);
	/* A task that has just ended cannot be moved any more. */
	if (fclose(file) && errno != ESRCH)
		die("%s", path);
}

/* Like fork(), but the child is in the cgroup from its first nanosecond. */
static pid_t fork_into(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct clone_into args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = fd};
	pid_t pid;

	if (fd < 0)
		die("%s", dir);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		die("clone3 into %s", dir);
	close(fd);
	return pid;
}

static void *thread_main(void *arg)
{
	seed = (unsigned int)(uintptr_t)arg;
	kind_of_work->run(&options);
	report_thread();
	return NULL;
}

static void __attribute__((noreturn)) task_main(void)
{
	pthread_t threads[256] = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (options.cpu >= 0)
		pin(options.cpu);
	if (options.fifo &&
	    sched_setscheduler(0, SCHED_FIFO,
			       &(struct sched_param){.sched_priority = options.fifo}))
		die("SCHED_FIFO");
	for (int i = 1; i < options.threads; i++)
		if (pthread_create(&threads[i], NULL, thread_main, (void *)(uintptr_t)(seed + i)))
			die("thread");
	kind_of_work->run(&options);
	for (int i = 1; i < options.threads; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

/* Until the task sleeps, and is off its CPU. */
static void wait_for_sleep(pid_t pid)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	do {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

		if (len < 0)
			die("%s", path);
		text[len] = '\0';
		close(fd);
		sleep_ns(2 * MS);
	} while (!strstr(text, ") S "));
}

/*
 * Starts a task outside and moves it while it sleeps, so that it is known to the nanosecond what it
 * had used before.
 */
static pid_t fork_and_move(const char *dir)
{
	struct used past = {0};
	char path[64];
	int gate[2];
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid <= 0) {
		close(gate[1]);
		if (!pid && read(gate[0], path, 1) < 0)
			die("pipe");
		close(gate[0]);
		return pid;
	}
	close(gate[0]);
	wait_for_sleep(pid);
	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	read_schedstat(path, &past);
	/* It has gone to sleep once; how often it was preempted before that is not to be had. */
	report(dir, &(struct used){-past.run, -past.wait, -past.slices, -1, 1 - past.slices});
	write_pid(dir, pid);
	close(gate[1]);
	return pid;
}

static pid_t start(const char *dir)
{
	pid_t pid;

	if (!dir)
		pid = fork();
	else if (options.by_write)
		pid = fork_and_move(dir);
	else
		pid = fork_into(dir);
	if (pid < 0)
		die("fork");
	seed += 7919;
	if (pid)
		return pid;
	if (dir)
		my_dir = dir;
	task_main();
}

static void finish(const char *dir, pid_t pid)
{
	struct used used = {0};

	wait_for_zombie(pid);
	read_zombie(pid, &used);
	reap(pid, &used);
	report(dir ? dir : "-", &used);
}

static void run_one(void)
{
	const char *dirs[2] = {options.other, options.dir};
	pid_t pid = start(options.dir);

	for (int i = 0; options.other; i++) {
		siginfo_t info = {0};

		sleep_ns(around(options.move_ms * MS));
		if (waitid(P_PID, pid, &info, WEXITED | WNOWAIT | WNOHANG) || info.si_pid)
			break;
		write_pid(dirs[i % 2], pid);
	}
	finish(options.dir, pid);
}

/* One line of the list, without its newline; false at its end. */
static bool next_line(FILE *list, char *line)
{
	if (!fgets(line, MAX_LINE, list))
		return false;
	line[strcspn(line, "\n")] = '\0';
	return true;
}

static void run_list(void)
{
	static char *dirs[MAX_TASKS];
	static pid_t pids[MAX_TASKS];
	char line[MAX_LINE];
	FILE *list = fopen(options.list, "re");
	int nr = 0;

	if (!list)
		die("%s", options.list);
	for (; nr < MAX_TASKS && next_line(list, line); nr++) {
		dirs[nr] = strdup(line);
		pids[nr] = start(dirs[nr]);
	}
	fclose(list);
	for (int i = 0; i < nr; i++)
		finish(dirs[i], pids[i]);
}

/* CPU time of a cgroup in ns, as the kernel accounts it: cpu.stat, or cpuacct.usage on v1. */
static long long usage_of(const char *dir)
{
	char path[MAX_LINE + 32];
	long long usage;
	FILE *file;
	int found;

	snprintf(path, sizeof(path), "%s/cpu.stat", dir);
	file = fopen(path, "re");
	found = file ? fscanf(file, "usage_usec %lld", &usage) : 0;
	if (file)
		fclose(file);
	if (found == 1)
		return usage * 1000;
	snprintf(path, sizeof(path), "%s/cpuacct.usage", dir);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%lld", &usage) != 1)
		die("%s", path);
	fclose(file);
	return usage;
}

/*
 * Pods one after the other, each gone as soon as its task has ended: a line of the list names the
 * pod's cgroup and the container's. Prints the container's cgroup and its CPU time, read when the
 * task has left its CPU for good.
 */
static void run_short(void)
{
	char pod[MAX_LINE], container[MAX_LINE];
	FILE *list = fopen(options.list, "re");
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct used used = {0};
	pid_t pid;

	if (!list)
		die("%s", options.list);
	for (int i = 0; fscanf(list, "%1000s %1000s", pod, container) == 2; i++) {
		pin(i % cpus);
		if (mkdir(pod, 0755) || mkdir(container, 0755))
			die("%s", container);
		pid = options.by_write ? fork() : fork_into(container);
		if (pid < 0)
			die("fork");
		if (!pid) {
			if (options.by_write)
				write_pid(container, getpid());
			burn((int64_t)(options.seconds * SEC));
			_exit(0);
		}
		wait_for_zombie(pid);
		reap(pid, &used);
		printf("%s %lld\n", container, usage_of(container));
		if (rmdir(container) || rmdir(pod))
			die("rmdir %s", container);
	}
	fclose(list);
}

static int usage(FILE *to, int status)
{
	fputs("usage: workload [OPTION...] KIND SECONDS [ARG]\n"
	      "       workload -l LIST short SECONDS   pods that live that long, one after another\n"
	      "  -c DIR   work in this cgroup        -w       enter it by a write, not by clone3()\n"
	      "  -l LIST  a task in each cgroup of this file\n"
	      "  -m DIR   be moved between the first cgroup and this one\n"
	      "  -e MS    that often (30)            -t N     threads (1)\n"
	      "  -p CPU   stay on this CPU           -f PRIO  SCHED_FIFO\n"
	      "  -r FILE  append to this report\n",
	      to);
	for (size_t i = 0; i < NR_KINDS; i++)
		fprintf(to, "  %-8s %s\n", kinds[i].name, kinds[i].help);
	return status;
}

static bool parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "c:l:m:e:t:p:f:r:w")) != -1) {
		switch (opt) {
		case 'c':
			options.dir = optarg;
			break;
		case 'l':
			options.list = optarg;
			break;
		case 'm':
			options.other = optarg;
			break;
		case 'e':
			options.move_ms = atoi(optarg);
			break;
		case 't':
			options.threads = atoi(optarg);
			break;
		case 'p':
			options.cpu = atoi(optarg);
			break;
		case 'f':
			options.fifo = atoi(optarg);
			break;
		case 'r':
			options.report = optarg;
			break;
		case 'w':
			options.by_write = true;
			break;
		default:
			return false;
		}
	}
	if (argc - optind < 2 || options.threads < 1 || options.threads > 256)
		return false;
	options.seconds = atof(argv[optind + 1]);
	options.arg = argv[optind + 2];
	return true;
}

int main(int argc, char **argv)
{
	if (!parse(argc, argv))
		return usage(stderr, 2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	seed = getpid();
	if (!strcmp(argv[optind], "short")) {
		run_short();
		return 0;
	}
	for (size_t i = 0; i < NR_KINDS; i++)
		if (!strcmp(kinds[i].name, argv[optind]))
			kind_of_work = &kinds[i];
	if (!kind_of_work)
		return usage(stderr, 2);
	if (options.report)
		report_fd = open(options.report, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (options.report && report_fd < 0)
		die("%s", options.report);
	deadline = now(CLOCK_MONOTONIC) + (int64_t)(options.seconds * SEC);
	if (options.list)
		run_list();
	else
		run_one();
	return 0;
}
