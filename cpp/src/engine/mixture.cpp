#include "engine/mixture.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/pixels.hpp"
#include "error.hpp"
#include "latent_mixture/draw.hpp"
#include "random/latents.hpp"

namespace digitvae {

Mixture::Mixture(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes, Form form)
    : Mixture(std::move(runtime), onnx_file::Model(model, bytes, onnx_file::Role::kMixture), form) {}

Mixture::Mixture(std::shared_ptr<const Runtime> runtime, const onnx_file::Model& model, Form form)
    : session_(std::move(runtime), model),
      info_(read_prior_info(session_)),
      second_(may_be_second(form) ? make_second(model.graph()) : nullptr) {
  require_interface(
      session_,
      {batch_of_scalars("u", "float32"), batch_of_scalars("digit", "int64"), batch_of("eps", info_.latent_dim)},
      {batch_of("z", info_.latent_dim), batch_of_scalars("label", "int64")});
  if (form == Form::kSecond) second_.prepare();
}

namespace {

// Memory of a tile: what the mixture reads, and what it draws.
struct MixtureRows {
  explicit MixtureRows(std::size_t dim)
      : choice(kTileRows), digit(kTileRows), noise(kTileRows * dim), latents(kTileRows * dim), label(kTileRows) {}

  std::vector<float> choice;
  std::vector<std::int64_t> digit;  // wanted of each row
  std::vector<float> noise;         // 0 where the mixture does not read it
  std::vector<float> latents;
  std::vector<std::int64_t> label;
};

// The same, wrapped as tensors.
struct MixtureTensors {
  MixtureTensors(const Session& own_session, MixtureRows& rows, std::size_t dim)
      : session(own_session),
        choice(session, rows.choice.data(), kTileRows),
        digit(session, rows.digit.data(), kTileRows),
        noise(session, rows.noise.data(), kTileRows, dim),
        latents(session, rows.latents.data(), kTileRows, dim),
        label(session, rows.label.data(), kTileRows) {}

  void run() const { session.run({&choice, &digit, &noise}, {&latents, &label}); }

  const Session& session;
  Session::Tensor choice;
  Session::Tensor digit;
  Session::Tensor noise;
  Session::Tensor latents;
  Session::Tensor label;
};

// Whether the loop draws what the session does, wherever another component or label is chosen. The order in which a
// kernel adds does not depend on the values, so that sums that agree here agree always.
bool draws_same_bits(const Session& session, const latent_mixture::Parameters& p) {
  latent_mixture::Choices choices = latent_mixture::every_choice(p);
  MixtureRows theirs(p.latents);
  const MixtureTensors tensors(session, theirs, p.latents);
  std::vector<float> latents(theirs.latents.size());
  std::vector<std::int64_t> label(kTileRows);
  for (std::size_t start = 0; start < choices.u.size(); start += kTileRows) {
    const std::size_t rows = std::min(kTileRows, choices.u.size() - start);
    std::copy_n(choices.u.data() + start, rows, theirs.choice.data());
    std::copy_n(choices.digit.data() + start, rows, theirs.digit.data());
    fill_standard_normal(0, Stream::kLatent, start, kTileRows, p.rank, p.latents, theirs.noise.data());
    tensors.run();
    latent_mixture::draw(p, theirs.choice.data(), theirs.digit.data(), theirs.noise.data(), kTileRows, latents.data(),
                         label.data());
    const bool agree = std::memcmp(latents.data(), theirs.latents.data(), latents.size() * sizeof(float)) == 0;
    if (!agree || label != theirs.label) return false;
  }
  return true;
}

// A truncation of 1 takes no time, and changes no bit.
void truncate(float truncation, float* noise, std::size_t count) {
  if (truncation == 1.0F) return;
  for (std::size_t i = 0; i < count; ++i) noise[i] *= truncation;
}

}  // namespace

SecondForm<latent_mixture::Parameters>::Make Mixture::make_second(const onnx_file::Graph& graph) const {
  using latent_mixture::Parameters;
  std::optional<Parameters> read =
      latent_mixture::read_parameters(graph, info_.labels, info_.noise_dim, info_.latent_dim);
  if (!read) return nullptr;
  return [this, p = std::move(*read)]() -> std::unique_ptr<const Parameters> {
    return draws_same_bits(session_, p) ? std::make_unique<const Parameters>(p) : nullptr;
  };
}

void require_fit(const LatentSource& source, const ModelInfo& decoder) {
  if (!(source.truncation >= 0.0F && source.truncation <= 1.0F)) {
    throw InvalidArgument("truncation is " + text_of(source.truncation, 0.0, 1.0) + ", expected 0 to 1");
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

// What one worker draws a tile with.
class LatentMaker::MixtureTile {
 public:
  MixtureTile(const LatentSource& source, std::size_t dim)
      : source_(source),
        labels_(static_cast<std::int64_t>(source.mixture->info().labels)),
        dim_(dim),
        noise_dim_(source.mixture->info().noise_dim),
        parameters_(source.mixture->parameters()),
        rows_(dim),
        tensors_(source.mixture->session(), rows_, dim) {
    std::fill(rows_.digit.begin(), rows_.digit.end(), source.digit_of(0));
  }

  void make(std::uint64_t start, std::size_t rows, float* z, std::int32_t* labels) {
    const auto begin = static_cast<std::size_t>(start % kTileRows);
    if (parameters_ != nullptr) {
      prepare(start, begin, rows);
      latent_mixture::draw(*parameters_, rows_.choice.data() + begin, rows_.digit.data() + begin,
                           rows_.noise.data() + begin * dim_, rows, z, rows_.label.data() + begin);
    } else {
      // The whole tile, whichever rows of it are wanted: its content is the same for every cut of a range.
      prepare(start - begin, 0, kTileRows);
      tensors_.run();
      std::copy_n(rows_.latents.data() + begin * dim_, rows * dim_, z);
    }
    require_sound(begin, rows, z);
    if (labels == nullptr) return;
    for (std::size_t i = 0; i < rows; ++i) labels[i] = static_cast<std::int32_t>(rows_.label[begin + i]);
  }

 private:
  // What the mixture reads for the images from `start`, whose rows begin at `begin`.
  void prepare(std::uint64_t start, std::size_t begin, std::size_t rows) {
    float* const noise = rows_.noise.data() + begin * dim_;
    fill_standard_normal(source_.seed, Stream::kLatent, start, rows, noise_dim_, dim_, noise);
    truncate(source_.truncation, noise, rows * dim_);
    for (std::size_t i = 0; i < rows; ++i) rows_.choice[begin + i] = mixture_uniform(source_.seed, start + i);
    if (source_.digits.size() <= 1) return;
    for (std::size_t i = 0; i < rows; ++i) rows_.digit[begin + i] = source_.digit_of(start + i);
  }

  void require_sound(std::size_t begin, std::size_t rows, const float* z) const {
    const std::size_t index = first_outside(z, rows * dim_, -kMaxLatent, kMaxLatent);
    if (index != rows * dim_) {
      throw ModelError("the prior computed a latent that is not finite, or beyond ±1e20: " +
                       text_of(z[index], -kMaxLatent, kMaxLatent));
    }
    for (std::size_t i = begin; i < begin + rows; ++i) {
      const std::int64_t label = rows_.label[i];
      const std::int64_t digit = rows_.digit[i];
      const bool known = label >= 0 && label < labels_;
      if (known && (digit == kAnyDigit || label == digit)) continue;
      throw ModelError("the prior gave the label " + std::to_string(label) + ", expected " +
                       (digit == kAnyDigit ? "0 to " + std::to_string(labels_ - 1) : std::to_string(digit)));
    }
  }

  const LatentSource& source_;
  std::int64_t labels_;
  std::size_t dim_;
  std::size_t noise_dim_;
  const latent_mixture::Parameters* parameters_;
  MixtureRows rows_;
  MixtureTensors tensors_;
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
