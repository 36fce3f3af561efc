// What the opaque handles of the C ABI are.
#pragma once

#include "model/decoder.hpp"
#include "model/encoder.hpp"
#include "model/mixture.hpp"

struct dvae_decoder {
  digitvae::Decoder core;
};

struct dvae_encoder {
  digitvae::Encoder core;
};

struct dvae_prior {
  digitvae::Mixture core;
};
