// SPDX-License-Identifier: GPL-2.0
/* The model, which thinks and streams tokens, and another agent, which answers a message. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <transports.h>

#include "agent-loop.h"

static int model = -1, other = -1, poll_model = -1;
static pid_t model_pid, other_pid;

static bool receive_all(int fd, void *into, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, (char *)into + done, size - done);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

static bool send_all(int fd, const void *from, size_t size)
{
	return write(fd, from, size) == (ssize_t)size;
}

/* A text that belongs to this turn, as far as both ends can tell. */
static void write_text(char *text, size_t size, unsigned long turn)
{
	memset(text, 'p', size);
	memcpy(text, &turn, sizeof(turn));
	memcpy(text + size - sizeof(turn), &turn, sizeof(turn));
}

static bool same_turn(const char *text, size_t size, unsigned long turn)
{
	return !memcmp(text, &turn, sizeof(turn)) && !memcmp(text + size - sizeof(turn), &turn, sizeof(turn));
}

static void think(void)
{
	for (int i = 0; i < THINKING; i++)
		asm volatile("");
}

__attribute__((noreturn))
static void be_model(int fd)
{
	static char prompt[PROMPT_BYTES];
	unsigned long turn;

	while (receive_all(fd, prompt, sizeof(prompt))) {
		memcpy(&turn, prompt, sizeof(turn));
		if (!same_turn(prompt, sizeof(prompt), turn))
			_exit(1);
		for (int i = 0; i < TOKENS; i++) {
			unsigned long token = turn * TOKENS + i;

			think();
			if (!send_all(fd, &token, TOKEN_BYTES))
				_exit(1);
		}
	}
	_exit(0);
}

__attribute__((noreturn))
static void be_other(int fd)
{
	static char message[MESSAGE_BYTES];

	while (receive_all(fd, message, sizeof(message)))
		if (!send_all(fd, message, sizeof(message)))
			_exit(1);
	_exit(0);
}

/* The process behind a connection; it works for the agent. */
static pid_t start(int *fd, void (*be)(int fd))
{
	struct end near = { .in = -1 }, far = { .in = -1 };
	pid_t pid;

	if (!connect_tcp(&near, &far) || fcntl(near.in, F_SETFD, FD_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(near.in);
		lab_join();
		be(far.in);
	}
	close(far.in);
	*fd = near.in;
	return pid;
}

bool start_others(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	fflush(stdout);
	model_pid = start(&model, be_model);
	other_pid = start(&other, be_other);
	poll_model = epoll_create1(EPOLL_CLOEXEC);
	return model_pid > 0 && other_pid > 0 && poll_model >= 0 && !epoll_ctl(poll_model, EPOLL_CTL_ADD, model, &event);
}

void stop_others(void)
{
	close(poll_model);
	close(model);
	close(other);
	waitpid(model_pid, NULL, 0);
	waitpid(other_pid, NULL, 0);
}

/* A prompt out, tokens in, by an event loop. */
bool ask_model(unsigned long turn)
{
	static char prompt[PROMPT_BYTES];
	unsigned long token, due = turn * TOKENS;
	struct epoll_event event;

	write_text(prompt, sizeof(prompt), turn);
	if (!send_all(model, prompt, sizeof(prompt)))
		return false;
	while (due < (turn + 1) * TOKENS) {
		if (epoll_wait(poll_model, &event, 1, -1) != 1 || !receive_all(model, &token, sizeof(token)) || token != due++)
			return false;
	}
	return true;
}

bool talk(unsigned long turn)
{
	static char message[MESSAGE_BYTES], answer[MESSAGE_BYTES];

	write_text(message, sizeof(message), turn);
	return send_all(other, message, sizeof(message)) && receive_all(other, answer, sizeof(answer)) &&
	       !memcmp(message, answer, sizeof(answer));
}
