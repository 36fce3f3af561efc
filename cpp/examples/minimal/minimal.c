/* minimal MODEL [SEED [COUNT]]: a short program over the C ABI.
 * Prints digit 0 of a seed as text; with COUNT, writes digits 0 ... COUNT - 1 to stdout, a byte a pixel. */
#define _POSIX_C_SOURCE 200112L /* setenv */
#include <digitvae/digitvae.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The library hands over a chunk of images at a time. Returning something other than 0 stops it. */
static int32_t write_chunk(void* context, uint64_t first, size_t count, const uint8_t* images, const int32_t* labels) {
  const dvae_info* info = context;
  const size_t bytes = count * info->height * info->width;
  (void)first;
  (void)labels;
  if (fwrite(images, 1, bytes, stdout) == bytes) return 0;
  perror("minimal: cannot write");
  return 1;
}

static dvae_status print_digit(const dvae_decoder* decoder, const dvae_sample_options* options, dvae_info info) {
  uint8_t image[28 * 28]; /* larger images would be refused, since the library is told the size */
  const dvae_status status = dvae_sample_u8(decoder, options, 1, image, sizeof image, NULL);
  if (status != DVAE_OK) return status;
  for (size_t y = 0; y < info.height; ++y) {
    for (size_t x = 0; x < info.width; ++x) putchar(" .:-=+*#%@"[image[y * info.width + x] * 10 / 256]);
    putchar('\n');
  }
  return DVAE_OK;
}

static uint64_t number(const char* text) {
  char* end = NULL;
  errno = 0;
  const uint64_t value = strtoull(text, &end, 10);
  if (errno == 0 && *text >= '0' && *text <= '9' && *end == '\0') return value;
  fprintf(stderr, "minimal: %s is not a number from 0 to 2^64 - 1\n", text);
  exit(2);
}

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    fprintf(stderr, "usage: minimal MODEL [SEED [COUNT]]\n");
    return 2;
  }
  dvae_sample_options options = DVAE_SAMPLE_OPTIONS_INIT;
  if (argc > 2) options.seed = number(argv[2]);
  const uint64_t count = argc > 3 ? number(argv[3]) : 0;

  setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* ONNX Runtime would report its use over the network */
  dvae_decoder* decoder = NULL;
  dvae_info info = DVAE_INFO_INIT;
  dvae_status status = dvae_decoder_open(argv[1], NULL, &decoder);
  if (status == DVAE_OK) status = dvae_decoder_info(decoder, &info);
  if (status == DVAE_OK) {
    status = argc > 3 ? dvae_stream_u8(decoder, &options, count, 0, write_chunk, &info)
                      : print_digit(decoder, &options, info);
  }
  if (status != DVAE_OK && status != DVAE_CANCELLED) fprintf(stderr, "minimal: %s\n", dvae_last_error());
  dvae_decoder_close(decoder); /* NULL is allowed */

  if (status != DVAE_OK) return 1; /* cancelled by write_chunk, which said why */
  if (fflush(stdout) == 0) return 0;
  perror("minimal: cannot write");
  return 1;
}
