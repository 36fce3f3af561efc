// Any bytes as a model: it opens or says why not; what opens can be asked and run, and what it computes is
// an image, a posterior, or an error.
#include <memory>
#include <string>
#include <vector>

#include "harness.hpp"

namespace {

constexpr std::size_t kRows = 3;
constexpr std::size_t kLargest = std::size_t{1} << 16;  // values per row; what is larger is opened and not run

template <typename Pixel>
void require_images(dvae_status status, const Buffer<Pixel>& images) {
  require_documented(status);
  images.require_whole_or_nothing(status, images.bytes());
  if (status != DVAE_OK) return;
  HOLDS(std::all_of(images.data(), images.data() + images.bytes() / sizeof(Pixel),
                    [](Pixel value) { return is_pixel(value); }));
}

void run(const dvae_decoder* decoder, const dvae_info& info) {
  const std::size_t pixels = info.height * info.width;
  dvae_sample_options options = DVAE_SAMPLE_OPTIONS_INIT;
  options.threads = 1;
  const Buffer<float> intensities(kRows * pixels);
  const Buffer<std::uint8_t> bytes(kRows * pixels);
  require_images(dvae_sample_f32(decoder, &options, kRows, intensities.data(), intensities.bytes(), nullptr),
                 intensities);
  require_images(dvae_sample_u8(decoder, &options, kRows, bytes.data(), bytes.bytes(), nullptr), bytes);
}

void run(const dvae_encoder* encoder, const dvae_info& info) {
  const std::vector<std::uint8_t> images(kRows * info.height * info.width, 127);
  const Buffer<float> mu(kRows * info.latent_dim);
  const Buffer<float> logvar(kRows * info.latent_dim);
  dvae_run_options options = DVAE_RUN_OPTIONS_INIT;
  options.threads = 1;
  const dvae_status status =
      dvae_encode_u8(encoder, images.data(), kRows, mu.data(), logvar.data(), mu.bytes(), &options);
  require_documented(status);
  mu.require_whole_or_nothing(status, mu.bytes());
  logvar.require_whole_or_nothing(status, logvar.bytes());
}

// A prior runs with a decoder that it fits; the tiny one of the corpus is that for most.
struct TinyDecoder {
  dvae_decoder* handle = nullptr;
  dvae_info info = DVAE_INFO_INIT;
  TinyDecoder() {
    HOLDS(dvae_decoder_open(DIGITVAE_CORPUS "/models/decoder_tiny.onnx", nullptr, &handle) == DVAE_OK);
    HOLDS(dvae_decoder_info(handle, &info) == DVAE_OK);
  }
  ~TinyDecoder() { dvae_decoder_close(handle); }
};

const TinyDecoder& tiny_decoder() {
  static const TinyDecoder decoder;
  return decoder;
}

void run(const dvae_prior* prior, const dvae_info& info) {
  const TinyDecoder& decoder = tiny_decoder();
  dvae_sample_options options = DVAE_SAMPLE_OPTIONS_INIT;
  options.threads = 1;
  options.prior = prior;
  const Buffer<float> z(kRows * decoder.info.latent_dim);
  const Buffer<std::int32_t> labels(kRows);
  const dvae_status status = dvae_latents(decoder.handle, &options, kRows, z.data(), z.bytes(), labels.data());
  require_documented(status);
  z.require_whole_or_nothing(status, z.bytes());
  labels.require_whole_or_nothing(status, labels.bytes());
  if (status != DVAE_OK) return;
  HOLDS(info.latent_dim == decoder.info.latent_dim);
  HOLDS(std::all_of(labels.data(), labels.data() + kRows,
                    [&](std::int32_t label) { return label >= 0 && static_cast<std::size_t>(label) < info.labels; }));
}

template <typename Handle>
void open_and_run(const std::uint8_t* data, std::size_t size,
                  dvae_status (*open)(const void*, size_t, const dvae_open_options*, Handle**),
                  dvae_status (*describe)(const Handle*, dvae_info*),
                  dvae_status (*look_up)(const Handle*, const char*, const char**), void (*close)(Handle*)) {
  Handle* handle = nullptr;
  // Held in memory of its own, and freed before the model runs: the library keeps no pointer to it.
  auto copy = std::make_unique<std::uint8_t[]>(size);
  std::copy(data, data + size, copy.get());
  const dvae_status status = open(copy.get(), size, nullptr, &handle);
  copy.reset();
  require_documented(status);
  HOLDS((status == DVAE_OK) == (handle != nullptr));
  if (handle == nullptr) return;
  dvae_info info = DVAE_INFO_INIT;
  HOLDS(describe(handle, &info) == DVAE_OK);
  const char* schema = nullptr;
  HOLDS(look_up(handle, "digitvae.schema", &schema) == DVAE_OK);
  HOLDS(schema != nullptr && std::string(schema) == "digitvae-bundle/1");
  if (info.latent_dim <= kLargest && info.height * info.width <= kLargest) run(handle, info);
  close(handle);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tiny_decoder();  // a handle that stays open keeps ONNX Runtime's environment, which is slow to make
  open_and_run(data, size, dvae_decoder_open_memory, dvae_decoder_info, dvae_decoder_metadata, dvae_decoder_close);
  open_and_run(data, size, dvae_encoder_open_memory, dvae_encoder_info, dvae_encoder_metadata, dvae_encoder_close);
  open_and_run(data, size, dvae_prior_open_memory, dvae_prior_info, dvae_prior_metadata, dvae_prior_close);
  return 0;
}
