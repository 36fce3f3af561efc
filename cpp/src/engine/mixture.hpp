// The class-conditional latent mixture of a bundle: prior.onnx. It turns specified random numbers into
// latents and labels, so that everything random stays outside the graph.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model.hpp"
#include "engine/second_form.hpp"
#include "engine/tiles.hpp"
#include "latent_mixture/parameters.hpp"

namespace digitvae {

inline constexpr std::int32_t kAnyDigit = -1;

// Thread-safe: any number of calls may use one mixture at the same time.
class Mixture {
 public:
  // `model`: the bytes of prior.onnx; not needed after the constructor returns. In the second form, latents are drawn
  // by latent_mixture::draw.
  Mixture(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes,
          Form form = Form::kWhicheverPays);

  const ModelInfo& info() const { return info_; }

  // Whether drawing a tile ends soon.
  bool is_quick() const { return is_second() || session_.is_quick(); }

  // What runs the graph, a tile at a time.
  const Session& session() const { return session_; }

  // To be told of every call and how many rows it is for. Thread-safe, like the next.
  void prepare_for(std::size_t rows) const { second_.prepare_for(std::max(rows, kTileRows)); }

  // What latent_mixture::draw draws from, any number of rows at a time, to the bits of the session; null if the session
  // is to be run instead.
  const latent_mixture::Parameters* parameters() const { return second_.get(); }
  bool is_second() const { return parameters() != nullptr; }

 private:
  Mixture(std::shared_ptr<const Runtime> runtime, const onnx_file::Model& model, Form form);
  SecondForm<latent_mixture::Parameters>::Make make_second(const onnx_file::Graph& graph) const;

  Session session_;
  ModelInfo info_;
  SecondForm<latent_mixture::Parameters> second_;
};

// Which latents are meant: those of a seed, from N(0, I) or from a mixture.
struct LatentSource {
  std::uint64_t seed = 0;
  const Mixture* mixture = nullptr;    // nullptr: N(0, I)
  std::vector<std::int32_t> digits{};  // only with a mixture: image i is of class digits[i mod size]; empty: of any
  float truncation = 1.0F;             // in [0, 1]: what the noise is multiplied by

  // The class that image `index` is to be of.
  std::int32_t digit_of(std::uint64_t index) const {
    return digits.empty() ? kAnyDigit : digits[static_cast<std::size_t>(index % digits.size())];
  }
};

// Throws InvalidArgument: a mixture made for other latents or another dataset than `decoder`, digits
// without a mixture, or one that the mixture does not have, or a truncation out of range.
void require_fit(const LatentSource& source, const ModelInfo& decoder);

// One worker's means of making latents of one source.
class LatentMaker {
 public:
  LatentMaker(const LatentSource& source, std::size_t latent_dim);
  ~LatentMaker();
  LatentMaker(const LatentMaker&) = delete;
  LatentMaker& operator=(const LatentMaker&) = delete;

  // Latents start … start + rows − 1 of the source into z [rows, latent_dim], and their classes into
  // labels [rows] unless it is null (which it must be without a mixture). With a mixture, the rows must
  // be of one tile of the absolute index. Throws ModelError if the mixture computes what is no latent.
  void make(std::uint64_t start, std::size_t rows, float* z, std::int32_t* labels);

 private:
  class MixtureTile;

  LatentSource source_;
  std::size_t dim_;
  std::unique_ptr<MixtureTile> tile_;
};

}  // namespace digitvae
