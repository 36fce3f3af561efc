#include "engine/mixture.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/pixels.hpp"
#include "error.hpp"
#include "random/latents.hpp"

namespace digitvae {

Mixture::Mixture(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes)
    : session_(std::move(runtime), model, bytes), info_(read_prior_info(session_)) {
  require_interface(
      session_,
      {batch_of_scalars("u", "float32"), batch_of_scalars("digit", "int64"), batch_of("eps", info_.latent_dim)},
      {batch_of("z", info_.latent_dim), batch_of_scalars("label", "int64")});
}

namespace {

// A truncation of 1 takes no time, and changes no bit.
void truncate(float truncation, float* noise, std::size_t count) {
  if (truncation == 1.0F) return;
  for (std::size_t i = 0; i < count; ++i) noise[i] *= truncation;
}

}  // namespace

void require_fit(const LatentSource& source, const ModelInfo& decoder) {
  if (!(source.truncation >= 0.0F && source.truncation <= 1.0F)) {
    throw InvalidArgument("truncation is " + std::to_string(source.truncation) + ", expected 0 to 1");
  }
  if (source.mixture == nullptr) {
    if (source.digits.empty()) return;
    throw InvalidArgument("digit is " + std::to_string(source.digits.front()) +
                          " but no prior is given: N(0, I) knows no classes; use -1, or open prior.onnx");
  }
  const ModelInfo& prior = source.mixture->info();
  if (prior.latent_dim != decoder.latent_dim || prior.dataset != decoder.dataset) {
    throw InvalidArgument("the prior does not fit the decoder: it was made for " + prior.dataset + " with " +
                          std::to_string(prior.latent_dim) + " latents, the decoder for " + decoder.dataset + " with " +
                          std::to_string(decoder.latent_dim));
  }
  for (const std::int32_t digit : source.digits) {
    if (digit >= 0 && digit < static_cast<std::int64_t>(prior.labels)) continue;
    throw InvalidArgument("digit is " + std::to_string(digit) + ", expected 0 to " + std::to_string(prior.labels - 1));
  }
}

// Scratch for one tile, wrapped as tensors.
class LatentMaker::MixtureTile {
 public:
  MixtureTile(const LatentSource& source, std::size_t dim)
      : session_(source.mixture->session()),
        source_(source),
        labels_(static_cast<std::int64_t>(source.mixture->info().labels)),
        dim_(dim),
        noise_dim_(source.mixture->info().noise_dim),
        choice_(kTileRows),
        digit_(kTileRows, source.digit_of(0)),
        noise_(kTileRows * dim),
        latents_(kTileRows * dim),
        label_(kTileRows),
        choice_tensor_(session_, choice_.data(), kTileRows),
        digit_tensor_(session_, digit_.data(), kTileRows),
        noise_tensor_(session_, noise_.data(), kTileRows, dim),
        latents_tensor_(session_, latents_.data(), kTileRows, dim),
        label_tensor_(session_, label_.data(), kTileRows) {}

  void make(std::uint64_t start, std::size_t rows, float* z, std::int32_t* labels) {
    // The whole tile, whichever rows of it are wanted: its content is the same for every cut of a range.
    const std::uint64_t tile_start = start - start % kTileRows;
    const auto begin = static_cast<std::size_t>(start - tile_start);
    fill_standard_normal(source_.seed, Stream::kLatent, tile_start, kTileRows, noise_dim_, dim_, noise_.data());
    truncate(source_.truncation, noise_.data(), noise_.size());
    for (std::size_t i = 0; i < kTileRows; ++i) choice_[i] = mixture_uniform(source_.seed, tile_start + i);
    if (source_.digits.size() > 1) {
      for (std::size_t i = 0; i < kTileRows; ++i) digit_[i] = source_.digit_of(tile_start + i);
    }
    session_.run({&choice_tensor_, &digit_tensor_, &noise_tensor_}, {&latents_tensor_, &label_tensor_});
    require_sound(begin, rows);
    std::copy_n(latents_.data() + begin * dim_, rows * dim_, z);
    if (labels == nullptr) return;
    for (std::size_t i = 0; i < rows; ++i) labels[i] = static_cast<std::int32_t>(label_[begin + i]);
  }

 private:
  void require_sound(std::size_t begin, std::size_t rows) const {
    const std::size_t index = first_outside(latents_.data() + begin * dim_, rows * dim_, -kMaxLatent, kMaxLatent);
    if (index != rows * dim_) {
      throw ModelError("the prior computed a latent that is not finite, or beyond ±1e20: " +
                       std::to_string(latents_[begin * dim_ + index]));
    }
    for (std::size_t i = begin; i < begin + rows; ++i) {
      const bool known = label_[i] >= 0 && label_[i] < labels_;
      if (known && (digit_[i] == kAnyDigit || label_[i] == digit_[i])) continue;
      throw ModelError("the prior gave the label " + std::to_string(label_[i]) + ", expected " +
                       (digit_[i] == kAnyDigit ? "0 to " + std::to_string(labels_ - 1) : std::to_string(digit_[i])));
    }
  }

  const Session& session_;
  const LatentSource& source_;
  std::int64_t labels_;
  std::size_t dim_;
  std::size_t noise_dim_;
  std::vector<float> choice_;
  std::vector<std::int64_t> digit_;  // wanted of each row
  std::vector<float> noise_;         // 0 where the mixture does not read it
  std::vector<float> latents_;
  std::vector<std::int64_t> label_;
  Session::Tensor choice_tensor_;
  Session::Tensor digit_tensor_;
  Session::Tensor noise_tensor_;
  Session::Tensor latents_tensor_;
  Session::Tensor label_tensor_;
};

LatentMaker::LatentMaker(const LatentSource& source, std::size_t latent_dim) : source_(source), dim_(latent_dim) {
  if (source.mixture != nullptr) tile_ = std::make_unique<MixtureTile>(source_, latent_dim);
}

LatentMaker::~LatentMaker() = default;

void LatentMaker::make(std::uint64_t start, std::size_t rows, float* z, std::int32_t* labels) {
  if (tile_ != nullptr) {
    tile_->make(start, rows, z, labels);
  } else {
    fill_standard_normal(source_.seed, Stream::kLatent, start, rows, dim_, z);
    truncate(source_.truncation, z, rows * dim_);
  }
}

}  // namespace digitvae
