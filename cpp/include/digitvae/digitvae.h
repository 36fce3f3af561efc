/* digitvae: handwritten digits from a trained variational autoencoder, through ONNX Runtime.
 *
 * This header is the ABI. It is C99, and holds for the whole library:
 *
 * Errors.      A function that can fail returns a dvae_status; anything but DVAE_OK means that it did not do
 *              its work, and dvae_last_error() says why. Arguments are checked before any work: on
 *              DVAE_INVALID_ARGUMENT no output was touched. When work had begun (a model that computes nonsense,
 *              ONNX Runtime failing, cancellation) outputs are filled with zeros: there are no partial results.
 * Ownership.   You own every buffer you pass; the library keeps no pointer to it after the call. The library owns
 *              handles, made by ..._open and released by ..._close, and the strings it returns (lifetimes are
 *              given at each function).
 * Threads.     A handle may be used by any number of threads at the same time, also the same handle. Only closing
 *              it must come after the last use. A call's worker threads (option `threads`) wait with its handle, asleep
 *              and with all signals blocked, for the next call; closing the handle ends them.
 * Callbacks.   They run on the thread that made the call, and must return to it. To leave one by longjmp, by the end of
 *              its thread (pthread_exit, cancellation) or by a jump of another language is forbidden: the call's other
 *              threads go on writing to your buffers and to a stack that is gone, and the handle can hang in its next
 *              call. Return a number that cancels instead, and jump when the call has returned. (An exception of C++ is
 *              caught, and ends the call with DVAE_INTERNAL_ERROR and its message.)
 * Arithmetic.  Whatever rounding, flushing of subnormal numbers or traps a thread has set, the library computes in the
 *              default floating-point arithmetic, to the same bits. The thread's own is in force again in callbacks and
 *              after the call.
 * Forks.       fork() waits until no other thread is in one run of a model, or opens or closes one, but for no more
 *              than a second. After that handles work in the child. If a second was not enough, whatever needs ONNX
 *              Runtime is DVAE_RUNTIME_ERROR in the child, at once. So is, there, a call whose own callback forked, if
 *              other threads worked for it. (Calls that skip the handlers of pthread_atfork, such as vfork and _Fork,
 *              are for programs that go on to exec. Another user of the same ONNX Runtime is not waited for.)
 * State.       There is none outside the handles, but for the calling thread's last error message. When the last
 *              handle is closed, the ONNX Runtime environment is released (its code stays mapped).
 * Network.     The library itself uses none. Official builds of ONNX Runtime from 1.29 on report usage; the library
 *              turns that off for all but the first report, which is sent when the first handle is opened. To stop
 *              this one too, and the identifier that it leaves in the home folder, set the environment variable
 *              ORT_DISABLE_TELEMETRY to 1 before (a library must not change its program's environment).
 * Arrays.      Row-major and dense. Images are [count, height, width], uint8 (round-half-even of 255 x) or float32
 *              intensities x in [0, 1], 0 background, 1 ink. Latents are float32 [count, latent_dim]. Sizes named
 *              ..._bytes are the size of your buffer in bytes, at least what the result takes.
 * Randomness.  Image i of seed s has the same bits whatever the count, the first image of the call, the threads or
 *              the process (one kind of processor, one version of ONNX Runtime; its latent has the same bits
 *              everywhere): docs/random-numbers.md.
 * Structs.     Every struct starts with its size, which the ..._INIT macros set. A library that is newer than your
 *              program fills in what your struct lacks; one that is older refuses what it does not know.
 */
#ifndef DIGITVAE_DIGITVAE_H
#define DIGITVAE_DIGITVAE_H

#include <stddef.h>
#include <stdint.h>

#define DVAE_VERSION_MAJOR 1
#define DVAE_VERSION_MINOR 0
#define DVAE_VERSION_PATCH 0

/* Changes only when a program compiled with an earlier header would break; the shared library's SOVERSION. */
#define DVAE_ABI_VERSION 1

#if defined(__GNUC__)
#define DVAE_API __attribute__((visibility("default")))
#else
#define DVAE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status and version -------------------------------------------------------------------------------- */

typedef int32_t dvae_status;

enum {
  DVAE_OK = 0,
  DVAE_INVALID_ARGUMENT = 1, /* something you passed: a null pointer, a count, a size, a value out of range */
  DVAE_IO_ERROR = 2,         /* a model file cannot be read */
  DVAE_MODEL_ERROR = 3,      /* the bytes are no ONNX model, or not one of ours, or it computes nonsense */
  DVAE_RUNTIME_ERROR = 4,    /* ONNX Runtime is missing, too old, or failed in a call */
  DVAE_OUT_OF_MEMORY = 5,
  DVAE_CANCELLED = 6,     /* a callback of yours asked to stop */
  DVAE_INTERNAL_ERROR = 7 /* a defect of this library: please report the message */
};

/* The name of a status, such as "DVAE_MODEL_ERROR"; "unknown status" for other numbers. Never NULL; static. */
DVAE_API const char* dvae_status_name(dvae_status status);

/* What went wrong in this thread's last call that failed: UTF-8, one line of at most 1023 bytes, "" if none has.
 * Control characters in names from files have become '?'. Successful calls leave it alone. Never NULL; valid until the
 * next failing call of the same thread, or its end. */
DVAE_API const char* dvae_last_error(void);

/* The library's version, such as "1.0.0" (compare with DVAE_VERSION_...). Static. */
DVAE_API const char* dvae_version(void);

/* The library's DVAE_ABI_VERSION. */
DVAE_API uint32_t dvae_abi_version(void);

/* ---- options -------------------------------------------------------------------------------------------- */

/* Asked about every 20 ms during a call, on the calling thread, and once more at its end with done == total.
 * `done` counts rows (images, latents), about: what other threads are busy with is not in it. Return 0 to go on;
 * anything else cancels (at the end it is too late, and ignored). That ends the call in the midst of a run of the
 * model, too, when the model's next operator is to begin: one operator is never interrupted. A model whose runs are
 * not known to be short is run by a thread of its own meanwhile, besides those of `threads`. A call without this
 * callback runs on. */
typedef int32_t (*dvae_progress)(void* context, uint64_t done, uint64_t total);

typedef struct dvae_prior dvae_prior;

typedef struct dvae_open_options {
  size_t struct_size;
  /* Path or name of the ONNX Runtime shared library, 1.20 or newer. NULL: what the environment variable
   * DIGITVAE_ORT_LIBRARY says, else the system loader's libonnxruntime.so.1, libonnxruntime.so or (Debian)
   * libonnxruntime.so.1.N.
   * Must be NULL if this library was built with ONNX Runtime linked in (dvae_runtime_is_linked). */
  const char* ort_library;
} dvae_open_options;
#define DVAE_OPEN_OPTIONS_INIT {sizeof(dvae_open_options), NULL}

/* Options of calls that make images or latents from random numbers. NULL stands for the defaults. */
typedef struct dvae_sample_options {
  size_t struct_size;
  uint64_t seed;           /* which sequence of images; default 0 */
  uint64_t first;          /* index of the first image in it; first + count must not exceed 2^64; default 0 */
  const dvae_prior* prior; /* draw latents from this mixture; NULL (default): from N(0, I). Borrowed for the call. */
  int32_t digit;           /* with a prior: only this class; -1 (default): any */
  uint32_t threads;        /* worker threads, at most 1024; 0 (default): all processors of this process */
  dvae_progress progress;  /* NULL (default): none */
  void* progress_context;  /* passed to `progress` */
  /* The first version of this struct ends here. */
  float truncation;  /* in [0, 1]: the noise is multiplied by it; 1 (default): the whole distribution, 0: its means */
  uint32_t reserved; /* 0 */
} dvae_sample_options;
#define DVAE_SAMPLE_OPTIONS_INIT {sizeof(dvae_sample_options), 0, 0, NULL, -1, 0, NULL, NULL, 1.0F, 0}

/* Options of all other calls that take a while. NULL stands for the defaults. */
typedef struct dvae_run_options {
  size_t struct_size;
  uint32_t threads;       /* worker threads, at most 1024; 0 (default): all processors of this process */
  uint32_t reserved;      /* 0 */
  dvae_progress progress; /* NULL (default): none */
  void* progress_context; /* passed to `progress` */
} dvae_run_options;
#define DVAE_RUN_OPTIONS_INIT {sizeof(dvae_run_options), 0, 0, NULL, NULL}

/* ---- models --------------------------------------------------------------------------------------------- */

/* What a model says of itself. The strings live as long as the handle they were asked of. */
typedef struct dvae_info {
  size_t struct_size;
  size_t latent_dim;           /* 40 for the shipped bundle */
  size_t height;               /* 28; 0 for a prior, which knows no images */
  size_t width;                /* 28; 0 for a prior */
  size_t labels;               /* classes of a prior, numbered 0 ... labels - 1; 0 for the others */
  const char* dataset;         /* "mnist" */
  const char* runtime_version; /* of ONNX Runtime, such as "1.23.2" */
  const char* runtime_library; /* the path or name it was opened by; "" if linked in */
} dvae_info;
#define DVAE_INFO_INIT {sizeof(dvae_info), 0, 0, 0, 0, NULL, NULL, NULL}

/* The decoder p(x|z): decoder.onnx of a bundle. Latents to images. */
typedef struct dvae_decoder dvae_decoder;
/* The encoder q(z|x): encoder.onnx of a bundle. Images to the mean and log-variance of their posterior. */
typedef struct dvae_encoder dvae_encoder;
/* A class-conditional latent mixture: prior.onnx of a bundle (declared above). */

/* 1 if ONNX Runtime was linked into this library when it was built, 0 if it is opened at run time. */
DVAE_API int32_t dvae_runtime_is_linked(void);

/* Open a model from a file, or from memory that you may free or change when the call returns. `options` may be
 * NULL. On success *handle is yours until the matching ..._close; on failure it is NULL.
 * DVAE_INVALID_ARGUMENT: a null pointer. DVAE_IO_ERROR: the file cannot be read, or is larger than 1 GiB.
 * DVAE_MODEL_ERROR: not an ONNX model, or its names, types, shapes or metadata are not those of export/README.md.
 * DVAE_RUNTIME_ERROR: ONNX Runtime is missing or too old. */
DVAE_API dvae_status dvae_decoder_open(const char* path, const dvae_open_options* options, dvae_decoder** handle);
DVAE_API dvae_status dvae_decoder_open_memory(const void* model, size_t model_bytes, const dvae_open_options* options,
                                              dvae_decoder** handle);
DVAE_API dvae_status dvae_encoder_open(const char* path, const dvae_open_options* options, dvae_encoder** handle);
DVAE_API dvae_status dvae_encoder_open_memory(const void* model, size_t model_bytes, const dvae_open_options* options,
                                              dvae_encoder** handle);
DVAE_API dvae_status dvae_prior_open(const char* path, const dvae_open_options* options, dvae_prior** handle);
DVAE_API dvae_status dvae_prior_open_memory(const void* model, size_t model_bytes, const dvae_open_options* options,
                                            dvae_prior** handle);

/* Release a handle; NULL is allowed. No call may be using it, and its strings end with it. */
DVAE_API void dvae_decoder_close(dvae_decoder* handle);
DVAE_API void dvae_encoder_close(dvae_encoder* handle);
DVAE_API void dvae_prior_close(dvae_prior* handle);

/* Fill *info, whose struct_size must be set (DVAE_INFO_INIT). */
DVAE_API dvae_status dvae_decoder_info(const dvae_decoder* handle, dvae_info* info);
DVAE_API dvae_status dvae_encoder_info(const dvae_encoder* handle, dvae_info* info);
DVAE_API dvae_status dvae_prior_info(const dvae_prior* handle, dvae_info* info);

/* The value of one key of the model's metadata, for example "digitvae.schema", in *value; NULL there if the model
 * has no such key (that is DVAE_OK). The string lives as long as the handle. */
DVAE_API dvae_status dvae_decoder_metadata(const dvae_decoder* handle, const char* key, const char** value);
DVAE_API dvae_status dvae_encoder_metadata(const dvae_encoder* handle, const char* key, const char** value);
DVAE_API dvae_status dvae_prior_metadata(const dvae_prior* handle, const char* key, const char** value);

/* ---- generating ----------------------------------------------------------------------------------------- */

/* All of these take `options` (NULL: seed 0, from image 0, N(0, I), all processors), count >= 1, and `labels`:
 * with a prior, NULL or an array of `count` numbers that receives each image's class; without one, NULL. */

/* Latents first ... first + count - 1 of a seed into z [count, latent_dim]. */
DVAE_API dvae_status dvae_latents(const dvae_decoder* decoder, const dvae_sample_options* options, size_t count,
                                  float* z, size_t z_bytes, int32_t* labels);

/* Images first ... first + count - 1 of a seed into images [count, height, width]. */
DVAE_API dvae_status dvae_sample_u8(const dvae_decoder* decoder, const dvae_sample_options* options, size_t count,
                                    uint8_t* images, size_t images_bytes, int32_t* labels);
DVAE_API dvae_status dvae_sample_f32(const dvae_decoder* decoder, const dvae_sample_options* options, size_t count,
                                     float* images, size_t images_bytes, int32_t* labels);

/* One chunk of a stream: images [count, height, width], the index of its first image, and labels [count] (NULL
 * without a prior). Both arrays are the library's, and yours to read until you return. Return 0 to go on; anything
 * else cancels. */
typedef int32_t (*dvae_chunk_u8)(void* context, uint64_t first, size_t count, const uint8_t* images,
                                 const int32_t* labels);
typedef int32_t (*dvae_chunk_f32)(void* context, uint64_t first, size_t count, const float* images,
                                  const int32_t* labels);

/* Make `count` images in constant memory and hand them over in order, `chunk` at a time (0: 4096; the last may be
 * shorter; multiples of 64 are fastest). The callback runs on the calling thread and may use any handle.
 * DVAE_CANCELLED if it, or `progress`, said so; chunks that were handed over before stay valid results. */
DVAE_API dvae_status dvae_stream_u8(const dvae_decoder* decoder, const dvae_sample_options* options, uint64_t count,
                                    size_t chunk, dvae_chunk_u8 callback, void* context);
DVAE_API dvae_status dvae_stream_f32(const dvae_decoder* decoder, const dvae_sample_options* options, uint64_t count,
                                     size_t chunk, dvae_chunk_f32 callback, void* context);

/* ---- decoding and encoding ------------------------------------------------------------------------------ */

/* Latents z [count, latent_dim], count >= 1, into images [count, height, width]. DVAE_INVALID_ARGUMENT naming the
 * first offending row and column if a latent is NaN, infinite, or beyond +-1e20. */
DVAE_API dvae_status dvae_decode_u8(const dvae_decoder* decoder, const float* z, size_t count, uint8_t* images,
                                    size_t images_bytes, const dvae_run_options* options);
DVAE_API dvae_status dvae_decode_f32(const dvae_decoder* decoder, const float* z, size_t count, float* images,
                                     size_t images_bytes, const dvae_run_options* options);

/* Images [count, height, width], count >= 1, into the posterior's mean mu and log-variance logvar (natural
 * logarithm), each [count, latent_dim] and of `posterior_bytes`. DVAE_INVALID_ARGUMENT naming the first offending
 * row and column if an intensity is outside [0, 1]. */
DVAE_API dvae_status dvae_encode_u8(const dvae_encoder* encoder, const uint8_t* images, size_t count, float* mu,
                                    float* logvar, size_t posterior_bytes, const dvae_run_options* options);
DVAE_API dvae_status dvae_encode_f32(const dvae_encoder* encoder, const float* images, size_t count, float* mu,
                                     float* logvar, size_t posterior_bytes, const dvae_run_options* options);

/* ---- between latents ------------------------------------------------------------------------------------ */

enum {
  DVAE_LERP = 0, /* straight line: (1 - t) a + t b */
  DVAE_SLERP = 1 /* great circle (K. Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985) */
};

/* From each row of a to the same row of b [count, latent_dim], steps >= 2 latents at t = 0, 1/(steps-1), ..., 1, into
 * z [count, steps, latent_dim]. Computed in float64 and rounded once; the ends are a and b to the bit.
 * DVAE_INVALID_ARGUMENT naming the row: a value that is not finite; for slerp, one beyond +-1e20, or opposite
 * directions. */
DVAE_API dvae_status dvae_interpolate(const float* a, const float* b, size_t count, size_t latent_dim, size_t steps,
                                      int32_t method, float* z, size_t z_bytes, const dvae_run_options* options);

/* A bilinear grid between four corners [4, latent_dim]: top left, top right, bottom left, bottom right. rows >= 2,
 * columns >= 2; into z [rows, columns, latent_dim]. Computed in float64 and rounded once; the corners of the grid
 * are the four latents to the bit. */
DVAE_API dvae_status dvae_grid(const float* corners, size_t latent_dim, size_t rows, size_t columns, float* z,
                               size_t z_bytes, const dvae_run_options* options);

/* One point of that plane: `right` and `down` in [0, 1] are the shares of the way from left to right and from top to
 * bottom. Into z [latent_dim]. */
DVAE_API dvae_status dvae_grid_point(const float* corners, size_t latent_dim, double right, double down, float* z,
                                     size_t z_bytes);

#ifdef __cplusplus
}
#endif

#endif
