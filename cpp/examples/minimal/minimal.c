/* minimal MODEL [SEED [COUNT]]: digit 0 of a seed as text; with COUNT, digits 0 ... COUNT - 1, a byte a pixel. */
#define _POSIX_C_SOURCE 200112L /* setenv */
#include <digitvae/digitvae.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The library hands over a chunk of images at a time. Returning something other than 0 stops it. */
static int32_t write_bytes(void* context, uint64_t first, size_t count, const uint8_t* images, const int32_t* labels) {
  const dvae_info* info = context;
  (void)first, (void)labels;
  return fwrite(images, info->height * info->width, count, stdout) != count;
}

static int32_t print_text(void* context, uint64_t first, size_t count, const uint8_t* images, const int32_t* labels) {
  const dvae_info* info = context;
  (void)first, (void)labels;
  for (size_t i = 0; i < count * info->height * info->width; ++i) {
    putchar(" .:-=+*#%@"[images[i] * 10 / 256]);
    if ((i + 1) % info->width == 0) putchar('\n');
  }
  return 0;
}

static int parse(const char* text, uint64_t* number) {
  char* end = NULL;
  errno = 0;
  *number = strtoull(text, &end, 10);
  return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0';
}

int main(int argc, char** argv) {
  dvae_sample_options options = DVAE_SAMPLE_OPTIONS_INIT;
  uint64_t count = 1;
  if (argc < 2 || argc > 4 || (argc > 2 && !parse(argv[2], &options.seed)) || (argc > 3 && !parse(argv[3], &count))) {
    fputs("usage: minimal MODEL [SEED [COUNT]], numbers from 0 to 2^64 - 1\n", stderr);
    return 2;
  }
  setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* ONNX Runtime would report its use over the network */
  dvae_decoder* decoder = NULL;
  dvae_info info = DVAE_INFO_INIT;
  dvae_status status = dvae_decoder_open(argv[1], NULL, &decoder);
  if (status == DVAE_OK) status = dvae_decoder_info(decoder, &info);
  if (status == DVAE_OK)
    status = dvae_stream_u8(decoder, &options, count, 0, argc > 3 ? write_bytes : print_text, &info);
  const int written = status != DVAE_CANCELLED && fflush(stdout) == 0;
  if (!written) perror("minimal: cannot write");
  if (status != DVAE_OK && written) fprintf(stderr, "minimal: %s\n", dvae_last_error());
  dvae_decoder_close(decoder); /* NULL is allowed */
  return status == DVAE_OK && written ? 0 : 1;
}
