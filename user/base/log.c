// SPDX-License-Identifier: Apache-2.0
/* Log lines: one write each, so that lines of several threads never mix. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define MESSAGE_MAX 1024
/* Worst case of JSON escaping is six bytes for one, and the frame around it. */
#define LINE_MAX_BYTES (MESSAGE_MAX * 6 + 128)

static enum log_format log_form = LOG_FORMAT_PLAIN;
static enum log_level log_most = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_setup(enum log_format format, enum log_level most)
{
	log_form = format;
	log_most = most;
}

static size_t plain_line(char *line, const char *message)
{
	return (size_t)sprintf(line, "mlprof: %s\n", message);
}

/* Control characters and the two that JSON reserves; other bytes pass, messages are UTF-8. */
static char *json_escape(char *to, const char *from)
{
	for (; *from; from++) {
		unsigned char c = (unsigned char)*from;

		if (c == '"' || c == '\\')
			to += sprintf(to, "\\%c", c);
		else if (c < 0x20)
			to += sprintf(to, "\\u%04x", c);
		else
			*to++ = (char)c;
	}
	return to;
}

static size_t json_line(char *line, enum log_level level, const char *message)
{
	struct timespec now;
	struct tm utc;
	char stamp[32];
	char *end = line;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	end += sprintf(end, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"msg\":\"", stamp,
		       now.tv_nsec / 1000000, level_names[level]);
	end = json_escape(end, message);
	end += sprintf(end, "\"}\n");
	return (size_t)(end - line);
}

void log_line(enum log_level level, const char *format, ...)
{
	char message[MESSAGE_MAX], line[LINE_MAX_BYTES];
	int saved = errno;
	ssize_t written;
	va_list args;
	size_t bytes;

	if (level > log_most)
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	bytes = log_form == LOG_FORMAT_JSON ? json_line(line, level, message)
					    : plain_line(line, message);
	/* A log that cannot be written must not stop what is logged about. */
	written = write(STDERR_FILENO, line, bytes);
	(void)written;
	errno = saved;
}
