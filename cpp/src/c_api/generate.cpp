// Latents, images and streams of images from random numbers.
#include <digitvae/digitvae.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "c_api/arguments.hpp"
#include "c_api/status.hpp"

namespace digitvae::c_api {
namespace {

LatentSource source_of(const dvae_sample_options& options) {
  LatentSource source;
  source.seed = options.seed;
  source.mixture = options.prior == nullptr ? nullptr : &options.prior->core;
  if (options.digit != kAnyDigit) source.digits = {options.digit};
  source.truncation = options.truncation;
  return source;
}

void require_labels(const dvae_sample_options& options, const std::int32_t* labels, std::size_t count) {
  if (labels == nullptr) return;
  if (options.prior == nullptr) throw InvalidArgument("labels were asked for but no prior is given: N(0, I) has none");
  array_bytes(count, 1, sizeof *labels, "labels");
}

void report_end(const dvae_sample_options& options, std::uint64_t total) {
  if (options.progress != nullptr) options.progress(options.progress_context, total, total);
}

// `make`: Decoder::sample or latents, into out [count, width].
template <typename T, typename Width, typename Make>
dvae_status draw(const dvae_decoder* decoder, const dvae_sample_options* given, std::size_t count, T* out,
                 std::size_t bytes, std::int32_t* labels, const char* name, Width width_of, Make make) {
  return guarded([&] {
    const Decoder& core = require(decoder, "decoder").core;
    const dvae_sample_options options = read_sample_options(given);
    const std::size_t width = width_of(core.info());
    require_rows(count);
    require_output(out, bytes, count, width, name);
    require_labels(options, labels, count);
    all_or_zeros({{out, count * width * sizeof *out}, {labels, count * sizeof *labels}}, [&] {
      (core.*make)(source_of(options), options.first, count, out, labels, options.threads,
                   poll_of(options.progress, options.progress_context, 0, count, count));
    });
    report_end(options, count);
  });
}

template <typename Pixel>
dvae_status sample(const dvae_decoder* decoder, const dvae_sample_options* options, std::size_t count, Pixel* images,
                   std::size_t images_bytes, std::int32_t* labels) {
  const auto pixels = [](const ModelInfo& info) { return info.pixels(); };
  return draw(decoder, options, count, images, images_bytes, labels, "images", pixels, &Decoder::sample<Pixel>);
}

// The progress of a stream. Its clock runs on from chunk to chunk: most chunks take less than one interval.
class StreamProgress {
 public:
  StreamProgress(const dvae_sample_options& options, std::uint64_t total) : options_(options), total_(total) {}

  // For the work on `rows` rows after the first `done`.
  Poll poll(std::uint64_t done, std::uint64_t rows) {
    const Poll report = poll_of(options_.progress, options_.progress_context, done, rows, total_);
    if (!report) return {};
    return [this, report](std::size_t tiles_done, std::size_t tiles) {
      const bool stop = report(tiles_done, tiles);
      last_ = Clock::now();
      return stop;
    };
  }

  // Between chunks, with `done` rows handed over. True means stop.
  bool asks_to_stop(std::uint64_t done) {
    if (options_.progress == nullptr || done == total_ || Clock::now() - last_ < kPollInterval) return false;
    const bool stop = options_.progress(options_.progress_context, done, total_) != 0;
    last_ = Clock::now();
    return stop;
  }

 private:
  using Clock = std::chrono::steady_clock;
  const dvae_sample_options& options_;
  std::uint64_t total_;
  Clock::time_point last_ = Clock::now();
};

template <typename Pixel, typename Callback>
dvae_status stream(const dvae_decoder* decoder, const dvae_sample_options* given, std::uint64_t count,
                   std::size_t chunk, Callback callback, void* context) {
  return guarded([&] {
    constexpr std::size_t kDefaultChunk = 4096;
    const Decoder& core = require(decoder, "decoder").core;
    const dvae_sample_options options = read_sample_options(given);
    if (callback == nullptr) throw InvalidArgument("callback is a null pointer");
    if (count == 0) throw InvalidArgument("count is 0, expected at least 1");
    if (count - 1 > std::numeric_limits<std::uint64_t>::max() - options.first) {
      throw InvalidArgument("first + count goes beyond 2^64 images");
    }
    const LatentSource source = source_of(options);
    source.require_fit(core.info());

    const auto largest = static_cast<std::size_t>(std::min<std::uint64_t>(chunk == 0 ? kDefaultChunk : chunk, count));
    array_bytes(largest, core.info().pixels(), sizeof(Pixel), "chunk");
    const std::unique_ptr<Pixel[]> images(new Pixel[largest * core.info().pixels()]);
    std::vector<std::int32_t> labels(options.prior == nullptr ? 0 : largest);
    std::int32_t* const label_rows = options.prior == nullptr ? nullptr : labels.data();
    StreamProgress progress(options, count);
    for (std::uint64_t done = 0; done < count;) {
      const auto rows = static_cast<std::size_t>(std::min<std::uint64_t>(largest, count - done));
      core.sample(source, options.first + done, rows, images.get(), label_rows, options.threads,
                  progress.poll(done, rows));
      if (callback(context, options.first + done, rows, images.get(), label_rows) != 0) throw Cancelled();
      done += rows;
      if (progress.asks_to_stop(done)) throw Cancelled();
    }
    report_end(options, count);
  });
}

}  // namespace
}  // namespace digitvae::c_api

using namespace digitvae::c_api;

extern "C" {

dvae_status dvae_latents(const dvae_decoder* decoder, const dvae_sample_options* options, size_t count, float* z,
                         size_t z_bytes, int32_t* labels) {
  const auto width = [](const digitvae::ModelInfo& info) { return info.latent_dim; };
  return draw(decoder, options, count, z, z_bytes, labels, "z", width, &digitvae::Decoder::latents);
}

dvae_status dvae_sample_u8(const dvae_decoder* decoder, const dvae_sample_options* options, size_t count,
                           uint8_t* images, size_t images_bytes, int32_t* labels) {
  return sample(decoder, options, count, images, images_bytes, labels);
}

dvae_status dvae_sample_f32(const dvae_decoder* decoder, const dvae_sample_options* options, size_t count,
                            float* images, size_t images_bytes, int32_t* labels) {
  return sample(decoder, options, count, images, images_bytes, labels);
}

dvae_status dvae_stream_u8(const dvae_decoder* decoder, const dvae_sample_options* options, uint64_t count,
                           size_t chunk, dvae_chunk_u8 callback, void* context) {
  return stream<uint8_t>(decoder, options, count, chunk, callback, context);
}

dvae_status dvae_stream_f32(const dvae_decoder* decoder, const dvae_sample_options* options, uint64_t count,
                            size_t chunk, dvae_chunk_f32 callback, void* context) {
  return stream<float>(decoder, options, count, chunk, callback, context);
}

}  // extern "C"
