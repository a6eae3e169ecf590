// SPDX-License-Identifier: Apache-2.0
/* From shares of a stretch of time to busy time of processes. */
#include "gpu/busy_samples.h"

#define NS_PER_US 1000u
#define EXPIRE_US 60000000u
/*
 * NVIDIA documents 1 s to 1/6 s, and 1/7 s was seen. While no better is known, and where samples
 * are closer than can be, errors come out too large rather than too small.
 */
#define PERIOD_MOST_US 1000000u

/* The part of a stretch that can be credited. */
struct part {
	uint64_t from_us, to_us, ns;
	uint64_t samples; /* the device's in this part, at least 1 */
	/* A percent is `unit` of `whole`: of the part if rows are means, of a period if not. */
	uint64_t unit, whole;
};

static bool is_within(const struct part *part, const struct busy_sample *sample)
{
	return sample->us > part->from_us && sample->us <= part->to_us;
}

static void note_gap(struct busy_samples *samples, uint64_t from_us)
{
	if (samples->end_us && from_us > samples->end_us)
		samples->unobserved_ns += (from_us - samples->end_us) * NS_PER_US;
}

static struct part cut(struct busy_samples *samples, const struct busy_stretch *stretch)
{
	struct part part = {.from_us = stretch->from_us, .to_us = stretch->to_us};
	uint64_t ring_us = samples->ring_us ? samples->ring_us : BUSY_RING_US;

	if (part.to_us - part.from_us > ring_us)
		part.from_us = part.to_us - ring_us;
	note_gap(samples, part.from_us);
	part.ns = (part.to_us - part.from_us) * NS_PER_US;
	samples->end_us = part.to_us;
	samples->observed_ns += part.ns;
	return part;
}

/* Any two samples of a device are a multiple of its period apart: the least is nearest to it. */
static void learn(struct busy_samples *samples, uint64_t a_us, uint64_t b_us)
{
	uint64_t least_us = samples->least_us ? samples->least_us : BUSY_PERIOD_LEAST_US;
	uint64_t apart_us = a_us > b_us ? a_us - b_us : b_us - a_us;

	if (!apart_us || apart_us > PERIOD_MOST_US)
		return;
	if (apart_us < least_us)
		apart_us = least_us;
	if (!samples->period_us || apart_us < samples->period_us)
		samples->period_us = apart_us;
}

static void look(struct busy_samples *samples, const struct part *part,
		 const struct busy_stretch *stretch)
{
	const struct busy_sample *sample = stretch->samples;

	for (size_t i = 0; i < stretch->nr; i++) {
		if (!is_within(part, &sample[i])) {
			samples->stale++;
			continue;
		}
		for (size_t k = 0; k < i; k++) {
			if (!is_within(part, &sample[k]))
				continue;
			learn(samples, sample[i].us, sample[k].us);
			samples->single = samples->single || sample[i].pid == sample[k].pid;
		}
	}
}

static size_t count_within(const struct part *part, const struct busy_stretch *stretch)
{
	size_t nr = 0;

	for (size_t i = 0; i < stretch->nr; i++)
		nr += is_within(part, &stretch->samples[i]);
	return nr;
}

static void measure(const struct busy_samples *samples, const struct busy_stretch *stretch,
		    struct part *part)
{
	uint64_t period_us = samples->period_us ? samples->period_us : PERIOD_MOST_US;
	size_t seen = count_within(part, stretch);

	part->samples = (part->to_us - part->from_us) / period_us;
	if (samples->single && part->samples < seen)
		part->samples = seen;
	if (!part->samples)
		part->samples = 1;
	part->unit = samples->single ? period_us : 1;
	part->whole = samples->single ? 100 * (part->to_us - part->from_us) : 100;
}

/* False if an earlier sample of the stretch is of the same process. */
static bool is_first(const struct part *part, const struct busy_stretch *stretch, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (stretch->samples[k].pid == stretch->samples[i].pid &&
		    is_within(part, &stretch->samples[k]))
			return false;
	return is_within(part, &stretch->samples[i]);
}

/* All percents of the stretch, or of process `pid` if it is not 0. */
static void add_up(const struct part *part, const struct busy_stretch *stretch, uint32_t pid,
		   uint64_t sum[BUSY_ENGINES])
{
	for (size_t i = 0; i < BUSY_ENGINES; i++)
		sum[i] = 0;
	for (size_t i = 0; i < stretch->nr; i++) {
		if (!is_within(part, &stretch->samples[i]) ||
		    (pid && stretch->samples[i].pid != pid))
			continue;
		for (size_t k = 0; k < BUSY_ENGINES; k++)
			sum[k] += stretch->samples[i].percent[k] * part->unit;
	}
}

static void credit(struct busy_row *row, const struct part *part, const uint64_t of[BUSY_ENGINES],
		   const uint64_t all[BUSY_ENGINES])
{
	for (size_t i = 0; i < BUSY_ENGINES; i++) {
		uint64_t whole = all[i] > part->whole ? all[i] : part->whole;

		busy_time_add(&row->busy[i], part->ns, of[i], whole);
		row->busy[i].variance_ns2 +=
			busy_variance(part->ns, of[i], all[i], whole, part->samples);
		if (part->unit == 1 && of[i] && of[i] < 100)
			row->busy[i].rounding_ns += part->ns / 100;
	}
	row->samples += part->samples;
	row->seen = part->to_us;
}

static void credit_all(struct busy_rows *rows, const struct part *part,
		       const struct busy_stretch *stretch, const uint64_t all[BUSY_ENGINES])
{
	uint64_t of[BUSY_ENGINES];

	for (size_t i = 0; i < stretch->nr; i++) {
		if (!is_first(part, stretch, i))
			continue;
		add_up(part, stretch, stretch->samples[i].pid, of);
		credit(busy_rows_take(rows, stretch->samples[i].pid), part, of, all);
	}
}

void busy_samples_credit(struct busy_samples *samples, struct busy_rows *rows,
			 const struct busy_stretch *stretch)
{
	uint64_t all[BUSY_ENGINES];
	struct part part;
	bool overfull = false;

	if (stretch->to_us <= stretch->from_us)
		return;
	part = cut(samples, stretch);
	if (part.to_us > EXPIRE_US)
		busy_rows_expire(rows, part.to_us - EXPIRE_US);
	look(samples, &part, stretch);
	measure(samples, stretch, &part);
	add_up(&part, stretch, 0, all);
	for (size_t i = 0; i < BUSY_ENGINES; i++)
		overfull = overfull || all[i] > part.whole;
	samples->overfull += overfull;
	if (!count_within(&part, stretch))
		samples->quiet_ns += part.ns;
	credit_all(rows, &part, stretch, all);
}
