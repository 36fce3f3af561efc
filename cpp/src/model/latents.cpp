#include "model/latents.hpp"

#include <algorithm>
#include <string>

#include "base/error.hpp"
#include "kernels/pixels.hpp"
#include "schedule/call.hpp"

namespace digitvae {
namespace {

// A truncation of 1 takes no time, and changes no bit.
void truncate(float truncation, float* noise, std::size_t count) {
  if (truncation == 1.0F) return;
  for (std::size_t i = 0; i < count; ++i) noise[i] *= truncation;
}

}  // namespace

void LatentSource::require_fit(const ModelInfo& decoder) const {
  if (!(truncation >= 0.0F && truncation <= 1.0F)) {
    throw InvalidArgument("truncation is " + text_of(truncation, 0.0, 1.0) + ", expected 0 to 1");
  }
  if (mixture == nullptr) {
    if (digits.empty()) return;
    throw InvalidArgument("digit is " + std::to_string(digits.front()) +
                          " but no prior is given: N(0, I) knows no classes; use -1, or open prior.onnx");
  }
  const ModelInfo& prior = mixture->info();
  if (prior.latent_dim != decoder.latent_dim || prior.dataset != decoder.dataset) {
    throw InvalidArgument("the prior does not fit the decoder: it was made for " + prior.dataset + " with " +
                          std::to_string(prior.latent_dim) + " latents, the decoder for " + decoder.dataset + " with " +
                          std::to_string(decoder.latent_dim));
  }
  for (const std::int32_t digit : digits) {
    if (digit >= 0 && digit < static_cast<std::int64_t>(prior.labels)) continue;
    throw InvalidArgument("digit is " + std::to_string(digit) + ", expected 0 to " + std::to_string(prior.labels - 1));
  }
}

LatentMaker::LatentMaker(const LatentSource& source, std::size_t latent_dim) : source_(source), dim_(latent_dim) {
  if (source.mixture == nullptr) return;
  tile_.emplace(*source.mixture);
  std::fill(tile_->digit.begin(), tile_->digit.end(), source.digit_of(0));
}

void LatentMaker::make(std::uint64_t start, std::size_t rows, float* z, std::int32_t* labels) {
  if (tile_) return make_of_mixture(start, rows, z, labels);
  fill_standard_normal(source_.seed, Stream::kLatent, start, rows, dim_, z);
  truncate(source_.truncation, z, rows * dim_);
}

void LatentMaker::make_of_mixture(std::uint64_t start, std::size_t rows, float* z, std::int32_t* labels) {
  const auto begin = static_cast<std::size_t>(start % kTileRows);
  if (tile_->optimized() != nullptr) {
    prepare(start, begin, rows);
    tile_->draw(*tile_->optimized(), begin, rows, z);
  } else {
    // The whole tile, whichever rows of it are wanted: its content is the same for every cut of a range.
    prepare(start - begin, 0, kTileRows);
    tile_->run();
    std::copy_n(tile_->latents.data() + begin * dim_, rows * dim_, z);
  }
  require_sound(begin, rows, z);
  if (labels == nullptr) return;
  for (std::size_t i = 0; i < rows; ++i) labels[i] = static_cast<std::int32_t>(tile_->label[begin + i]);
}

// What the mixture reads for the images from `start`, whose rows begin at `begin`.
void LatentMaker::prepare(std::uint64_t start, std::size_t begin, std::size_t rows) {
  float* const noise = tile_->noise.data() + begin * dim_;
  const std::size_t noise_dim = source_.mixture->info().noise_dim;
  fill_standard_normal(source_.seed, Stream::kLatent, start, rows, noise_dim, dim_, noise);
  truncate(source_.truncation, noise, rows * dim_);
  for (std::size_t i = 0; i < rows; ++i) tile_->u[begin + i] = mixture_uniform(source_.seed, start + i);
  if (source_.digits.size() <= 1) return;
  for (std::size_t i = 0; i < rows; ++i) tile_->digit[begin + i] = source_.digit_of(start + i);
}

void LatentMaker::require_sound(std::size_t begin, std::size_t rows, const float* z) const {
  const std::size_t index = first_outside(z, rows * dim_, -kMaxLatent, kMaxLatent);
  if (index != rows * dim_) {
    throw ModelError("the prior computed a latent that is not finite, or beyond ±1e20: " +
                     text_of(z[index], -kMaxLatent, kMaxLatent));
  }
  const auto labels = static_cast<std::int64_t>(source_.mixture->info().labels);
  for (std::size_t i = begin; i < begin + rows; ++i) {
    const std::int64_t label = tile_->label[i];
    const std::int64_t digit = tile_->digit[i];
    const bool known = label >= 0 && label < labels;
    if (known && (digit == kAnyDigit || label == digit)) continue;
    throw ModelError("the prior gave the label " + std::to_string(label) + ", expected " +
                     (digit == kAnyDigit ? "0 to " + std::to_string(labels - 1) : std::to_string(digit)));
  }
}

void sample_prior(std::uint64_t seed, Stream stream, std::uint64_t first, std::size_t count, std::size_t dim,
                  float* out, unsigned threads, const Poll& poll) {
  constexpr std::size_t kRows = 4096;  // under a millisecond: often enough to poll
  const auto make_worker = [=]() -> TileWork {
    return [=](std::size_t block) {
      const std::size_t start = block * kRows;
      fill_standard_normal(seed, stream, first + start, std::min(kRows, count - start), dim, out + start * dim);
    };
  };
  Workers workers;
  run_call(true, poll, [&](const Poll& asked) {
    for_each_tile(workers, (count + kRows - 1) / kRows, threads, make_worker, asked);
  });
}

}  // namespace digitvae
