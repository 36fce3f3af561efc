// Latents of a seed, from N(0, I) or from a mixture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "model/mixture.hpp"
#include "random/latents.hpp"
#include "schedule/tiles.hpp"

namespace digitvae {

inline constexpr std::int32_t kAnyDigit = -1;

// Which latents are meant.
struct LatentSource {
  std::uint64_t seed = 0;
  const Mixture* mixture = nullptr;    // nullptr: N(0, I)
  std::vector<std::int32_t> digits{};  // only with a mixture: image i is of class digits[i mod size]; empty: of any
  float truncation = 1.0F;             // in [0, 1]: what the noise is multiplied by

  // The class that image `index` is to be of.
  std::int32_t digit_of(std::uint64_t index) const {
    return digits.empty() ? kAnyDigit : digits[static_cast<std::size_t>(index % digits.size())];
  }

  // Whether drawing a tile ends soon.
  bool is_quick() const { return mixture == nullptr || mixture->is_quick(); }

  // To be told of every call and how many rows it is for.
  void prepare_for(std::size_t rows) const {
    if (mixture != nullptr) mixture->prepare_for(rows);
  }

  // Throws InvalidArgument: a mixture made for other latents or another dataset than `decoder`, digits
  // without a mixture, or one that the mixture does not have, or a truncation out of range.
  void require_fit(const ModelInfo& decoder) const;
};

// One worker's means of making latents of one source.
class LatentMaker {
 public:
  LatentMaker(const LatentSource& source, std::size_t latent_dim);
  LatentMaker(const LatentMaker&) = delete;
  LatentMaker& operator=(const LatentMaker&) = delete;

  // Latents start … start + rows − 1 of the source into z [rows, latent_dim], and their classes into
  // labels [rows] unless it is null (which it must be without a mixture). With a mixture, the rows must
  // be of one tile of the absolute index. Throws ModelError if the mixture computes what is no latent.
  void make(std::uint64_t start, std::size_t rows, float* z, std::int32_t* labels);

 private:
  void make_of_mixture(std::uint64_t start, std::size_t rows, float* z, std::int32_t* labels);
  void prepare(std::uint64_t start, std::size_t begin, std::size_t rows);
  void require_sound(std::size_t begin, std::size_t rows, const float* z) const;

  LatentSource source_;
  std::size_t dim_;
  std::optional<Mixture::Tile> tile_;
};

// Latents first … first+count−1 of `seed` from N(0, I) into out [count, dim], on all threads; the bits of
// fill_standard_normal.
void sample_prior(std::uint64_t seed, Stream stream, std::uint64_t first, std::size_t count, std::size_t dim,
                  float* out, unsigned threads, const Poll& poll);

}  // namespace digitvae
