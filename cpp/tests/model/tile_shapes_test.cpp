#include "model/tile_shapes.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "random/latents.hpp"
#include "support.hpp"

using namespace digitvae;
using namespace digitvae::testing;

namespace {

std::vector<float> run(const Session& session, std::vector<float> z, std::size_t rows) {
  z.resize(rows * 40, 0.0F);
  std::vector<float> x(rows * 784);
  const Session::Tensor input(session, z.data(), rows, 40);
  const Session::Tensor output(session, x.data(), rows, 784);
  session.run({&input}, {&output});
  return x;
}

}  // namespace

TEST_CASE("a small run is chosen only where it holds the rows and its bits are those of a full tile", "[large]") {
  const std::string model = read_model("decoder.onnx");
  const Session session(open_runtime(), as_network(model));
  const TileShapes shapes(session);
  for (std::size_t rows = 1; rows <= kTileRows; ++rows) {
    const std::size_t shape = shapes.rows_for(rows);
    REQUIRE((shape == rows || shape == kTileRows));
    std::vector<float> z(rows * 40);
    fill_standard_normal(rows, Stream::kLatent, 0, rows, 40, z.data());
    const std::vector<float> tile = run(session, z, kTileRows);
    const std::vector<float> small = run(session, z, shape);
    REQUIRE(std::memcmp(small.data(), tile.data(), rows * 784 * sizeof(float)) == 0);
  }
}

TEST_CASE("a model whose rows depend on the number of rows, or on their place, is run in full tiles only") {
  for (const char* name : {"decoder_rows_in_run.onnx", "decoder_row_in_tile.onnx"}) {
    INFO(name);
    const std::string model = read_corpus(name);
    const Session session(open_runtime(), as_network(model));
    const TileShapes shapes(session);
    for (std::size_t rows = 1; rows <= kTileRows; ++rows) REQUIRE(shapes.rows_for(rows) == kTileRows);
  }
}
