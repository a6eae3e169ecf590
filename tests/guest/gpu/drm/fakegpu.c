// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stand-in for a GPU: the kernel's own DRM scheduler over two rings that do nothing, for as long
 * as each job asks. A ring runs its jobs one after the other and has up to two at a time, so that
 * the scheduler's events are those of a real driver, and it knows how long it was at whose job.
 * All of that, of clients that are gone too, is in fakegpu/truth of debugfs.
 */
#include <drm/drm_debugfs.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_print.h>
#include <drm/gpu_scheduler.h>
#include <linux/debugfs.h>
#include <linux/dma-fence.h>
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/seq_file.h>
#include <linux/xarray.h>

#include "fakegpu.h"

#define MAX_GONE 256 /* clients that are gone and still told of */

/* The kernel itself is a client too, with number 0. */
struct fake_client {
	struct kref refs;
	struct list_head list; /* of the GPU's clients */
	u64 id;
	pid_t pid; /* of who opened the device */
	bool gone;
	struct mutex submit;  /* jobs are queued in the order of their fences */
	struct xarray fences; /* by handle */
	struct drm_sched_entity entities[FAKEGPU_RINGS];
	struct fakegpu_used used[FAKEGPU_RINGS]; /* under the ring's lock */
};

/* A job as the ring has it; signalled when it is done. */
struct fake_work {
	struct dma_fence fence; /* first: it is what frees all of it */
	struct list_head list;
	struct fake_client *client;
	u64 length, start;
};

/* A job as the scheduler has it. */
struct fake_job {
	struct drm_sched_job base;
	struct fake_client *client;
	unsigned int ring;
	bool ran;
	u64 length;
};

struct fake_ring {
	struct drm_gpu_scheduler sched;
	struct hrtimer timer;
	spinlock_t lock;
	struct list_head works; /* the first of them runs */
	unsigned int in_flight;
	struct fakegpu_used all;
	spinlock_t fence_lock;
	u64 fence_context, seqno;
};

struct fake_gpu {
	struct drm_device drm;
	struct fake_ring rings[FAKEGPU_RINGS];
	struct fake_client *kernel;
	struct mutex lock; /* of what follows */
	struct list_head clients;
	unsigned int gone;
	u64 forgotten, last_id;
};

static const char *const ring_names[FAKEGPU_RINGS] = {"ring0", "ring1"};
static struct platform_device *parent;
static struct fake_gpu *gpu;
static struct dentry *debugfs;
static atomic_t jobs, works, clients; /* that there are */
static DECLARE_WAIT_QUEUE_HEAD(jobs_gone);

static void client_free(struct kref *refs)
{
	atomic_dec(&clients);
	kfree(container_of(refs, struct fake_client, refs));
}

static void client_put(struct fake_client *client)
{
	kref_put(&client->refs, client_free);
}

/* The ring. */

static const char *fence_driver(struct dma_fence *fence)
{
	return FAKEGPU_NAME;
}

static const char *fence_timeline(struct dma_fence *fence)
{
	return "ring";
}

static void fence_release(struct dma_fence *fence)
{
	atomic_dec(&works);
	dma_fence_free(fence);
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_driver,
	.get_timeline_name = fence_timeline,
	.release = fence_release,
};

static void ring_start(struct fake_ring *ring, u64 now)
{
	struct fake_work *work = list_first_entry(&ring->works, struct fake_work, list);

	work->start = now;
	hrtimer_start(&ring->timer, ns_to_ktime(now + work->length), HRTIMER_MODE_ABS);
}

static void add_used(struct fakegpu_used *used, const struct fake_work *work, u64 now)
{
	used->busy_ns += now - work->start;
	used->asked_ns += work->length;
	used->jobs++;
}

/* The interrupt of a ring whose job is done. */
static enum hrtimer_restart ring_done(struct hrtimer *timer)
{
	struct fake_ring *ring = container_of(timer, struct fake_ring, timer);
	struct fake_work *work;
	unsigned long flags;
	u64 now;

	spin_lock_irqsave(&ring->lock, flags);
	now = ktime_get_ns();
	work = list_first_entry(&ring->works, struct fake_work, list);
	list_del(&work->list);
	ring->in_flight--;
	add_used(&work->client->used[ring - gpu->rings], work, now);
	add_used(&ring->all, work, now);
	if (ring->in_flight)
		ring_start(ring, now);
	spin_unlock_irqrestore(&ring->lock, flags);

	client_put(work->client);
	dma_fence_signal(&work->fence);
	dma_fence_put(&work->fence);
	return HRTIMER_NORESTART;
}

static void ring_timer_init(struct fake_ring *ring)
{
#ifdef HAS_HRTIMER_SETUP
	hrtimer_setup(&ring->timer, ring_done, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
#else
	hrtimer_init(&ring->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	ring->timer.function = ring_done;
#endif
}

/* The scheduler's side. */

/* One reference to the fence is the scheduler's, the other the ring's. */
static struct dma_fence *run_job(struct drm_sched_job *base)
{
	struct fake_job *job = container_of(base, struct fake_job, base);
	struct fake_ring *ring = &gpu->rings[job->ring];
	struct fake_work *work = kzalloc(sizeof(*work), GFP_KERNEL);
	unsigned long flags;

	if (!work)
		return ERR_PTR(-ENOMEM);
	atomic_inc(&works);
	kref_get(&job->client->refs);
	work->client = job->client;
	work->length = job->length;
	job->ran = true;

	spin_lock_irqsave(&ring->lock, flags);
	dma_fence_init(&work->fence, &fence_ops, &ring->fence_lock, ring->fence_context,
		       ++ring->seqno);
	dma_fence_get(&work->fence);
	list_add_tail(&work->list, &ring->works);
	if (!ring->in_flight++)
		ring_start(ring, ktime_get_ns());
	spin_unlock_irqrestore(&ring->lock, flags);
	return &work->fence;
}

static void free_job(struct drm_sched_job *base)
{
	struct fake_job *job = container_of(base, struct fake_job, base);
	struct fake_ring *ring = &gpu->rings[job->ring];
	unsigned long flags;

	if (!job->ran) {
		spin_lock_irqsave(&ring->lock, flags);
		job->client->used[job->ring].cancelled++;
		ring->all.cancelled++;
		spin_unlock_irqrestore(&ring->lock, flags);
	}
	drm_sched_job_cleanup(base);
	client_put(job->client);
	kfree(job);
	if (atomic_dec_and_test(&jobs))
		wake_up(&jobs_gone);
}

static const struct drm_sched_backend_ops sched_ops = {
	.run_job = run_job,
	.free_job = free_job,
};

static int ring_init(struct fake_ring *ring, const char *name)
{
	struct drm_sched_init_args args = {
		.ops = &sched_ops,
		.credit_limit = FAKEGPU_IN_FLIGHT,
		.timeout = MAX_SCHEDULE_TIMEOUT,
		.name = name,
		.dev = gpu->drm.dev,
#ifdef HAS_NUM_RQS
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
#endif
	};

	spin_lock_init(&ring->lock);
	spin_lock_init(&ring->fence_lock);
	INIT_LIST_HEAD(&ring->works);
	ring->fence_context = dma_fence_context_alloc(1);
	ring_timer_init(ring);
	return drm_sched_init(&ring->sched, &args);
}

static int job_init(struct fake_job *job, struct drm_sched_entity *entity)
{
#ifdef HAS_JOB_CREDITS
	return drm_sched_job_init(&job->base, entity, 1, job->client, job->client->id);
#else
	return drm_sched_job_init(&job->base, entity, job->client);
#endif
}

/* Queues a job of the client; returns the fence that tells when it is done. */
static struct dma_fence *submit(struct fake_client *client, unsigned int ring, u64 length)
{
	struct fake_job *job = kzalloc(sizeof(*job), GFP_KERNEL);
	struct dma_fence *fence;
	int err;

	if (!job)
		return ERR_PTR(-ENOMEM);
	job->client = client;
	job->ring = ring;
	job->length = length;
	mutex_lock(&client->submit);
	err = job_init(job, &client->entities[ring]);
	if (err) {
		mutex_unlock(&client->submit);
		kfree(job);
		return ERR_PTR(err);
	}
	kref_get(&client->refs);
	atomic_inc(&jobs);
	drm_sched_job_arm(&job->base);
	fence = dma_fence_get(&job->base.s_fence->finished);
	drm_sched_entity_push_job(&job->base);
	mutex_unlock(&client->submit);
	return fence;
}

/* Submits for the kernel, from a thread of its own as drivers do that move memory. */

struct kernel_submit {
	struct work_struct work;
	const struct drm_fakegpu_submit *args;
	struct dma_fence *fence;
};

static void kernel_submit_work(struct work_struct *work)
{
	struct kernel_submit *own = container_of(work, struct kernel_submit, work);

	own->fence = submit(gpu->kernel, own->args->ring, own->args->length_ns);
}

static struct dma_fence *kernel_submit(const struct drm_fakegpu_submit *args)
{
	struct kernel_submit own = {.args = args};

	INIT_WORK_ONSTACK(&own.work, kernel_submit_work);
	schedule_work(&own.work);
	flush_work(&own.work);
	destroy_work_on_stack(&own.work);
	return own.fence;
}

/* The ioctls. */

static int submit_for(struct fake_client *client, struct drm_fakegpu_submit *args, bool kernels)
{
	struct dma_fence *fence;
	int err;

	if (args->ring >= FAKEGPU_RINGS || args->length_ns > FAKEGPU_MAX_LENGTH_NS)
		return -EINVAL;
	/* A job that is queued cannot be taken back, so its handle comes first. */
	err = xa_alloc(&client->fences, &args->handle, NULL, XA_LIMIT(1, FAKEGPU_MAX_HANDLES),
		       GFP_KERNEL);
	if (err)
		return err;
	fence = kernels ? kernel_submit(args) : submit(client, args->ring, args->length_ns);
	if (IS_ERR(fence)) {
		xa_erase(&client->fences, args->handle);
		return PTR_ERR(fence);
	}
	xa_store(&client->fences, args->handle, fence, GFP_KERNEL);
	return 0;
}

static int submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	return submit_for(file->driver_priv, data, false);
}

static int kernel_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	return submit_for(file->driver_priv, data, true);
}

static int wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct fake_client *client = file->driver_priv;
	struct drm_fakegpu_wait *args = data;
	struct dma_fence *fence;
	long left;

	xa_lock(&client->fences);
	fence = xa_load(&client->fences, args->handle);
	if (fence)
		dma_fence_get(fence);
	xa_unlock(&client->fences);
	if (!fence)
		return -ENOENT;
	left = dma_fence_wait_timeout(fence, true, nsecs_to_jiffies(args->timeout_ns));
	if (left > 0) {
		args->error = fence->error;
		/* Of two who wait for it, one drops the table's reference. */
		dma_fence_put(xa_erase(&client->fences, args->handle));
	}
	dma_fence_put(fence);
	return left > 0 ? 0 : left < 0 ? left : -ETIME;
}

/* What the ring knows at this moment, `mine` aside. */
static void ring_truth(unsigned int nr, struct drm_fakegpu_truth *truth)
{
	struct fake_ring *ring = &gpu->rings[nr];
	struct fake_work *work;

	lockdep_assert_held(&ring->lock);
	memset(truth, 0, sizeof(*truth));
	truth->ring = nr;
	work = list_first_entry_or_null(&ring->works, struct fake_work, list);
	if (work) {
		truth->running = work->client->id;
		truth->running_ns = ktime_get_ns() - work->start;
	}
	truth->in_flight = ring->in_flight;
	truth->kernels = gpu->kernel->used[nr];
	truth->all = ring->all;
}

static int truth_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct fake_client *client = file->driver_priv;
	struct drm_fakegpu_truth *truth = data;
	unsigned int nr = truth->ring;

	if (nr >= FAKEGPU_RINGS)
		return -EINVAL;
	spin_lock_irq(&gpu->rings[nr].lock);
	ring_truth(nr, truth);
	truth->mine = client->used[nr];
	spin_unlock_irq(&gpu->rings[nr].lock);
	truth->client = client->id;
	return 0;
}

static const struct drm_ioctl_desc ioctls[] = {
	DRM_IOCTL_DEF_DRV(FAKEGPU_SUBMIT, submit_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FAKEGPU_WAIT, wait_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FAKEGPU_TRUTH, truth_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(FAKEGPU_KERNEL_SUBMIT, kernel_submit_ioctl, DRM_RENDER_ALLOW),
};

/* Clients. */

/* Its jobs that have not run never will; those on a ring end by themselves. */
static void entities_destroy(struct fake_client *client, int nr)
{
	while (nr-- > 0)
		drm_sched_entity_destroy(&client->entities[nr]);
}

static int entities_init(struct fake_client *client)
{
	struct drm_gpu_scheduler *sched;
	int err;

	for (int i = 0; i < FAKEGPU_RINGS; i++) {
		sched = &gpu->rings[i].sched;
		err = drm_sched_entity_init(&client->entities[i], DRM_SCHED_PRIORITY_NORMAL, &sched,
					    1, NULL);
		if (err) {
			entities_destroy(client, i);
			return err;
		}
	}
	return 0;
}

static struct fake_client *client_new(void)
{
	struct fake_client *client = kzalloc(sizeof(*client), GFP_KERNEL);
	int err;

	if (!client)
		return ERR_PTR(-ENOMEM);
	kref_init(&client->refs);
	mutex_init(&client->submit);
	xa_init_flags(&client->fences, XA_FLAGS_ALLOC1);
	err = entities_init(client);
	if (err) {
		kfree(client);
		return ERR_PTR(err);
	}
	atomic_inc(&clients);
	return client;
}

/* No more of those that are gone are kept than MAX_GONE, the last ones. */
static void forget_oldest(void)
{
	struct fake_client *client;

	if (gpu->gone <= MAX_GONE)
		return;
	list_for_each_entry(client, &gpu->clients, list) if (client->gone) break;
	list_del(&client->list);
	gpu->gone--;
	gpu->forgotten++;
	client_put(client);
}

static int fake_open(struct drm_device *drm, struct drm_file *file)
{
	struct fake_client *client = client_new();

	if (IS_ERR(client))
		return PTR_ERR(client);
	client->pid = task_tgid_nr(current);
	file->driver_priv = client;
	kref_get(&client->refs); /* the list's */
	mutex_lock(&gpu->lock);
#ifdef HAS_FDINFO
	client->id = file->client_id;
#else
	client->id = ++gpu->last_id;
#endif
	list_add_tail(&client->list, &gpu->clients);
	mutex_unlock(&gpu->lock);
	return 0;
}

static void fake_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct fake_client *client = file->driver_priv;
	struct dma_fence *fence;
	unsigned long handle;

	entities_destroy(client, FAKEGPU_RINGS);
	xa_for_each(&client->fences, handle, fence) dma_fence_put(fence);
	xa_destroy(&client->fences);
	mutex_lock(&gpu->lock);
	client->gone = true;
	gpu->gone++;
	forget_oldest();
	mutex_unlock(&gpu->lock);
	client_put(client);
}

#ifdef HAS_FDINFO
static void fake_show_fdinfo(struct drm_printer *printer, struct drm_file *file)
{
	struct fake_client *client = file->driver_priv;

	for (int i = 0; i < FAKEGPU_RINGS; i++)
		drm_printf(printer, "drm-engine-%s:\t%llu ns\n", ring_names[i],
			   READ_ONCE(client->used[i].busy_ns));
}
#endif

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	DRM_GEM_FOPS,
#ifdef HAS_FDINFO
	.show_fdinfo = drm_show_fdinfo,
#endif
};

static const struct drm_driver driver = {
	.driver_features = DRIVER_GEM | DRIVER_RENDER,
	.open = fake_open,
	.postclose = fake_postclose,
#ifdef HAS_FDINFO
	.show_fdinfo = fake_show_fdinfo,
#endif
	.ioctls = ioctls,
	.num_ioctls = ARRAY_SIZE(ioctls),
	.fops = &fops,
	.name = FAKEGPU_NAME,
	.desc = "stand-in GPU",
#ifdef HAS_DATE
	.date = "20260101",
#endif
	.major = 1,
};

/* The truth. */

static void show_used(struct seq_file *file, const struct fakegpu_used *used)
{
	seq_printf(file, " busy_ns=%llu asked_ns=%llu jobs=%llu cancelled=%llu\n", used->busy_ns,
		   used->asked_ns, used->jobs, used->cancelled);
}

static void show_client(struct seq_file *file, const struct fake_client *client)
{
	struct fakegpu_used used;

	for (int i = 0; i < FAKEGPU_RINGS; i++) {
		spin_lock_irq(&gpu->rings[i].lock);
		used = client->used[i];
		spin_unlock_irq(&gpu->rings[i].lock);
		seq_printf(file, "client=%llu pid=%d open=%d ring=%d", client->id, client->pid,
			   !client->gone, i);
		show_used(file, &used);
	}
}

static void show_ring(struct seq_file *file, unsigned int nr)
{
	struct drm_fakegpu_truth truth;

	spin_lock_irq(&gpu->rings[nr].lock);
	ring_truth(nr, &truth);
	spin_unlock_irq(&gpu->rings[nr].lock);
	seq_printf(file, "ring=%u in_flight=%u running=%llu running_ns=%llu", nr, truth.in_flight,
		   truth.running, truth.running_ns);
	show_used(file, &truth.all);
}

static int truth_show(struct seq_file *file, void *unused)
{
	struct fake_client *client;

	for (unsigned int nr = 0; nr < FAKEGPU_RINGS; nr++)
		show_ring(file, nr);
	show_client(file, gpu->kernel);
	mutex_lock(&gpu->lock);
	list_for_each_entry(client, &gpu->clients, list) show_client(file, client);
	seq_printf(file, "forgotten=%llu\n", gpu->forgotten);
	mutex_unlock(&gpu->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(truth);

/* Coming and going. */

static void rings_fini(int nr)
{
	while (nr-- > 0) {
		hrtimer_cancel(&gpu->rings[nr].timer);
		drm_sched_fini(&gpu->rings[nr].sched);
	}
}

static int gpu_init(void)
{
	int nr, err = 0;

	mutex_init(&gpu->lock);
	INIT_LIST_HEAD(&gpu->clients);
	for (nr = 0; nr < FAKEGPU_RINGS && !err; nr++)
		err = ring_init(&gpu->rings[nr], ring_names[nr]);
	if (err) {
		rings_fini(nr - 1);
		return err;
	}
	gpu->kernel = client_new();
	if (IS_ERR(gpu->kernel)) {
		rings_fini(FAKEGPU_RINGS);
		return PTR_ERR(gpu->kernel);
	}
	return 0;
}

static void gpu_fini(void)
{
	struct fake_client *client, *next;

	entities_destroy(gpu->kernel, FAKEGPU_RINGS);
	wait_event(jobs_gone, !atomic_read(&jobs));
	rings_fini(FAKEGPU_RINGS);
	client_put(gpu->kernel);
	list_for_each_entry_safe(client, next, &gpu->clients, list) client_put(client);
	WARN(atomic_read(&works) || atomic_read(&clients), "something is never freed\n");
}

static int gpu_register(void)
{
	int err = gpu_init();

	if (err)
		return err;
	err = drm_dev_register(&gpu->drm, 0);
	if (err) {
		gpu_fini();
		return err;
	}
	debugfs = debugfs_create_dir(FAKEGPU_NAME, NULL);
	debugfs_create_file("truth", 0444, debugfs, NULL, &truth_fops);
	return 0;
}

static int __init fake_init(void)
{
	int err = -ENOMEM;

	parent = platform_device_register_simple(FAKEGPU_NAME, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	/* No driver is bound to the parent, whose end would free what is allocated for it. */
	if (!devres_open_group(&parent->dev, NULL, GFP_KERNEL))
		goto no_group;
	gpu = devm_drm_dev_alloc(&parent->dev, &driver, struct fake_gpu, drm);
	err = PTR_ERR_OR_ZERO(gpu);
	if (!err)
		err = gpu_register();
	if (!err)
		return 0;
	devres_release_group(&parent->dev, NULL);
no_group:
	platform_device_unregister(parent);
	return err;
}

static void __exit fake_exit(void)
{
	debugfs_remove(debugfs);
	drm_dev_unregister(&gpu->drm);
	gpu_fini();
	devres_release_group(&parent->dev, NULL);
	platform_device_unregister(parent);
}

module_init(fake_init);
module_exit(fake_exit);
MODULE_DESCRIPTION("Stand-in GPU on the real DRM scheduler");
MODULE_LICENSE("GPL");
